"""jobs/tag_catalog.py as a scheduler runs it: exit codes, one line a mistake, bounded memory, poisoned photos."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.table import paths, snapshot
from tests.submit import REPOSITORY, error_line, submit

CONFIG = str(REPOSITORY / "conf" / "nightly.yaml")
POISON = b"\xff\xd8 poison"

#: Python runs this in every process that finds it on its path: Spark's workers, and the children of the sandbox.
SITECUSTOMIZE = """
import os, signal
from fashion_udf.photos import decode as photo_decode
whole = photo_decode.decode
def decode(data, *limits):
    if data == {poison!r}:
        os.kill(os.getpid(), signal.SIGSEGV)
    return whole(data, *limits)
photo_decode.decode = decode
"""


def _catalog(folder: Path, **columns: Any) -> Path:
    folder.mkdir(parents=True)
    if not {"image", "image_uri"} & columns.keys():
        columns["image"] = pa.nulls(len(columns["product_id"]))
    pq.write_table(pa.table(columns), folder / "part.parquet", row_group_size=200)
    return folder


def _paths(source: Path, output: Path) -> list[str]:
    return ["--config", CONFIG, "--set", f"input.path={source}", "--set", f"output.path={output}"]


def _published(output: Path) -> dict[str, str]:
    commit = snapshot.current(str(output))
    assert commit is not None
    table = ds.dataset(paths.data_dir(str(output), commit), format="parquet").to_table(["product_id", "status"])
    return dict(zip(table["product_id"].to_pylist(), table["status"].to_pylist(), strict=True))


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 10, 10)).save(file, "JPEG")
    return file.getvalue()


def test_a_catalog_is_tagged_and_the_summary_says_where(tmp_path: Path) -> None:
    source = _catalog(tmp_path / "a catalog", product_id=["1", "2"], title=["Red shirt", None])
    result = submit("tag_catalog", *_paths(source, tmp_path / "the output"))
    assert result.returncode == 0, result.stdout
    assert "published snapshot 1: " in result.stdout
    assert "scored 2 of 2 rows" in result.stdout
    assert _published(tmp_path / "the output") == {"1": "image_none", "2": "image_none"}


def test_a_photo_that_kills_the_decoder_costs_one_row(tmp_path: Path) -> None:
    names = [f"{number:03d}" for number in range(60)]
    photos = [POISON if name == "042" else _jpeg() for name in names]
    source = _catalog(tmp_path / "in", product_id=names, title=["Red shirt"] * 60, image=photos)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITECUSTOMIZE.format(poison=POISON), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "site"), str(REPOSITORY)])
    result = submit("tag_catalog", *_paths(source, tmp_path / "out"), environment={"PYTHONPATH": path})
    assert result.returncode == 0, result.stdout
    assert "decoded in a child process" in result.stdout
    assert {name: status for name, status in _published(tmp_path / "out").items() if status != "ok"} == {
        "042": "image_crashed"
    }


@pytest.mark.parametrize(
    ("columns", "overrides", "message"),
    [
        ({"product_id": ["1"], "titel": ["x"]}, [], "Expected a column 'title' (input.columns.title). Received: "),
        ({"product_id": ["1"], "title": ["x"]}, ["engin.name=x"], "Received: engin: unknown key"),
        ({"product_id": ["1", "1"], "title": ["x", "y"]}, [], "Expected every product_id once and none empty."),
        ({"product_id": ["1"], "title": ["x"]}, ["bundle=/nowhere"], "Expected '/nowhere' to be a directory"),
    ],
)
def test_a_mistake_ends_with_exit_code_2_and_one_line(
    tmp_path: Path, columns: dict[str, list[str]], overrides: list[str], message: str
) -> None:
    source = _catalog(tmp_path / "in", **columns)
    settings = [argument for override in overrides for argument in ("--set", override)]
    result = submit("tag_catalog", *_paths(source, tmp_path / "out"), *settings)
    assert result.returncode == 2, result.stdout
    assert message in error_line(result)
    assert not (tmp_path / "out" / "tags").exists()


def test_an_altered_bundle_is_refused_and_the_file_named(tmp_path: Path) -> None:
    source = _catalog(tmp_path / "in", product_id=["1"], title=["x"])
    bundle = tmp_path / "bundle"
    shutil.copytree(REPOSITORY / "fashion_udf" / "bundles" / "builtin", bundle)
    weights = bytearray((bundle / "openvino" / "model.bin").read_bytes())
    weights[1000] ^= 1
    (bundle / "openvino" / "model.bin").write_bytes(weights)
    result = submit("tag_catalog", *_paths(source, tmp_path / "out"), "--set", f"bundle={bundle}")
    assert result.returncode == 2
    assert "Expected openvino/model.bin to have sha256" in error_line(result)
