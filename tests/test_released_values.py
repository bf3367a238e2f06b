"""Values that release 0.1 computed: digests, fingerprints, commit files, tokens and pixels must stay what they were.

A table would be scored again, or could not be read, where one of them changed. Their inputs stand beside them in
`release_0_1/values.json`; the split of labelled products is in `tests/training/data/`.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.model import bundle, tokenizer
from fashion_udf.photos.decode import decode
from fashion_udf.pipeline import tagging
from fashion_udf.samples.catalog import garment
from fashion_udf.table import snapshot
from tests.submit import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RELEASED = REPOSITORY / "tests" / "release_0_1"
VALUES = json.loads((RELEASED / "values.json").read_text(encoding="utf-8"))
VERSION = VALUES["bundle"]["model_version"]
BY_BYTES = [row for row in VALUES["fingerprints"] if "image" in row]
BY_URI = [row for row in VALUES["fingerprints"] if "image_uri" in row]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_files_of_the_built_in_bundle_are_those_of_the_old_release() -> None:
    folder = REPOSITORY / "fashion_udf" / "bundles" / "builtin"
    found = {path.relative_to(folder).as_posix(): _sha256(path.read_bytes()) for path in folder.rglob("*.*")}
    assert found.pop("manifest.json") == VERSION
    assert found == VALUES["bundle"]["sha256"]
    held = bundle.read("builtin")
    assert held.model_version == VERSION
    assert {name: _sha256(data) for name, data in held.files.items()} == VALUES["bundle"]["sha256"]


@pytest.mark.parametrize("old", VALUES["commits"], ids=lambda old: f"commit {old['fields']['number']}")
def test_a_commit_file_is_read_and_written_byte_for_byte(old: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "tags" / "log"
    log.mkdir(parents=True)
    (log / f"{old['fields']['number']:08d}.json").write_text(old["file"], encoding="ascii")
    (commit,) = snapshot.read_log(str(tmp_path))
    assert json.loads(json.dumps(dataclasses.asdict(commit))) == old["fields"]
    assert commit.to_json() == old["file"].encode("ascii")


def _identity(row: dict[str, Any]) -> str:
    """What tells the photo of a row from others, as release 0.1 spelled it; "" where there is none."""
    version = row["image_version"]
    if "image_uri" in row:
        looked_up = f"{row['size']}-{row['modified_ns']}" if "size" in row else ""
        return f"uri {row['image_uri']}\n{version or looked_up}" if row["image_uri"] is not None else ""
    if version is not None:
        return f"version {row['product_id']}\n{version}"
    return f"sha256 {_sha256(base64.b64decode(row['image']))}" if row["image"] is not None else ""


def _fingerprint(row: dict[str, Any], precision: str) -> str:
    """The fingerprint of a row, in plain Python."""
    words = "".join(_sha256((row[name] or "").encode()) for name in ("title", "description"))
    parts = (words, _identity(row), f"{VERSION}\n{precision}\n2")
    return "-".join(_sha256(part.encode())[:32] for part in parts)


def test_the_fingerprints_of_the_old_release_follow_one_plain_rule() -> None:
    for row in (*BY_BYTES, *BY_URI):
        assert {precision: _fingerprint(row, precision) for precision in row["fingerprints"]} == row["fingerprints"]


def _tagged(spark: SparkSession, folder: Path, rows: list[dict[str, Any]], photo: str, precision: str) -> Any:
    """Fingerprints by product id, as a night publishes them."""
    names = ("product_id", "title", "description", "image_version", photo)
    types = {"image": pa.binary()}
    held = {name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in names}
    (folder / "catalog").mkdir(exist_ok=True)
    pq.write_table(pa.table(held), folder / "catalog" / "part.parquet")
    tree = {
        "input": {
            "path": str(folder / "catalog"),
            "columns": {"image_version": "image_version"},
            "image_roots": [str(folder)],
        },
        "output": {"path": str(folder / precision)},
        "engine": {"precision": precision},
    }
    outcome = tagging.tag(spark, config.validate(JobConfig, tree, "a night"))
    table = ds.dataset(outcome.data_dir, format="parquet").to_table(columns=["product_id", "fingerprint"])
    return dict(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_rows_with_photos_as_bytes_have_the_fingerprints_of_the_old_release(
    spark: SparkSession, tmp_path: Path, precision: str
) -> None:
    rows = [row | {"image": row["image"] and base64.b64decode(row["image"])} for row in BY_BYTES]
    rows = [row | {"image": b"" if row["image"] == "" else row["image"]} for row in rows]
    found = _tagged(spark, tmp_path, rows, "image", precision)
    assert found == {row["product_id"]: row["fingerprints"][precision] for row in BY_BYTES}


def test_rows_with_photos_by_uri_have_the_fingerprints_of_the_old_release(spark: SparkSession, tmp_path: Path) -> None:
    *fixed, dated = BY_URI
    photo = tmp_path / "photo.png"
    photo.write_bytes(bytes(dated["size"]))
    os.utime(photo, ns=(dated["modified_ns"], dated["modified_ns"]))
    moved = dated | {"image_uri": str(photo)}
    expected = {row["product_id"]: row["fingerprints"]["f32"] for row in fixed}
    expected[moved["product_id"]] = _fingerprint(moved, "f32")
    assert _tagged(spark, tmp_path, [*fixed, moved], "image_uri", "f32") == expected


def test_texts_have_the_tokens_of_the_old_release() -> None:
    held = tokenizer.tokenizer_from_bytes(bundle.read("builtin").files["tokenizer.json"])
    for old in VALUES["tokens"]:
        text = tokenizer.product_text(old["title"], old["description"])
        assert tokenizer.encode(held, [text]).tolist() == [old["ids"]], old["title"]


@pytest.mark.parametrize(("name", "size", "digest"), VALUES["pixels"])
def test_a_photo_has_the_pixels_of_the_old_release(name: str, size: int, digest: str) -> None:
    pixels = decode((RELEASED / "photos" / name).read_bytes(), size).pixels
    assert pixels is not None and _sha256(pixels.tobytes()) == digest


@pytest.mark.parametrize("category", VALUES["drawings"])
def test_a_drawing_has_the_pixels_of_the_old_release(category: str) -> None:
    drawn = garment(category, np.random.default_rng(7), 64)
    assert _sha256(drawn.tobytes()) == VALUES["drawings"][category]
