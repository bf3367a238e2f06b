"""Values that a release computed: digests, fingerprints, commit files, tokens and pixels must stay what they were.

A table would be scored again, or could not be read, where one of them changed. Their inputs stand beside those of
release 0.1 in `release_0_1/values.json`; the split of labelled products is in `tests/training/data/`. Fingerprints are
of the release after it, in which they changed once.
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
from fashion_udf.model import tokenizer
from fashion_udf.photos.decode import decode
from fashion_udf.pipeline import tagging
from fashion_udf.samples.catalog import garment
from fashion_udf.table import snapshot
from tests import small_bundle
from tests.submit import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RELEASED = REPOSITORY / "tests" / "release_0_1"
VALUES = json.loads((RELEASED / "values.json").read_text(encoding="utf-8"))
BY_BYTES = [row for row in VALUES["fingerprints"] if "image" in row]
#: Of all fingerprints of these rows, one a line, by a model whose version is 64 zeros: the digest that must stay.
FINGERPRINTS = "419507997d75b77f8a27fd5c5972cb27468c4cc1693db43e9162e287ee11304e"
BY_URI = [row for row in VALUES["fingerprints"] if "image_uri" in row]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("old", VALUES["commits"], ids=lambda old: f"commit {old['fields']['number']}")
def test_a_commit_file_is_read_and_written_byte_for_byte(old: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "tags" / "log"
    log.mkdir(parents=True)
    (log / f"{old['fields']['number']:08d}.json").write_text(old["file"], encoding="ascii")
    (commit,) = snapshot.read_log(str(tmp_path))
    # What is newer than the release is empty in its commits.
    assert json.loads(json.dumps(dataclasses.asdict(commit))) == {**old["fields"], "made_from": None}
    assert commit.to_json() == old["file"].encode("ascii")


def _identity(row: dict[str, Any]) -> str | None:
    """What tells the photo of a row from others, as a release spelled it; None where there is none."""
    version = row["image_version"]
    if row.get("image_uri", row.get("image")) is None:
        return None
    if "image_uri" in row:
        looked_up = f"{row['size']}-{row['modified_ns']}" if "size" in row else ""
        return f"uri {row['image_uri']}\n{version or looked_up}"
    if version is not None:
        return f"version {row['product_id']}\n{version}"
    return f"sha256 {_sha256(base64.b64decode(row['image']))}"


def _fingerprint(row: dict[str, Any], model_version: str) -> str:
    """The fingerprint of a row in a run with the usual settings, in plain Python."""
    words = "".join(_sha256((row[name] or "").encode()) for name in ("title", "description"))
    identity = _identity(row)
    versions = f"{model_version}\nopenvino\nf32\n2\n3" + ("" if identity is None else "\n50000000\n89478485")
    return "-".join(_sha256(part.encode())[:32] for part in (words, identity or "", versions))


def test_the_plain_rule_of_fingerprints_is_that_of_the_release() -> None:
    found = [_fingerprint(row, "0" * 64) for row in (*BY_BYTES, *BY_URI)]
    assert _sha256("\n".join(found).encode()) == FINGERPRINTS


def _tagged(spark: SparkSession, folder: Path, rows: list[dict[str, Any]], photo: str) -> Any:
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
        "output": {"path": str(folder / "out")},
        "gates": {"max_failures": 1},
        "bundle": str(small_bundle.directory()),
    }
    outcome = tagging.tag(spark, config.validate(JobConfig, tree, "a night"))
    table = ds.dataset(outcome.data_dir, format="parquet").to_table(columns=["product_id", "fingerprint"])
    return dict(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


def test_rows_with_photos_as_bytes_have_the_fingerprints_of_the_release(spark: SparkSession, tmp_path: Path) -> None:
    version = small_bundle.read().model_version
    rows = [row | {"image": row["image"] and base64.b64decode(row["image"])} for row in BY_BYTES]
    rows = [row | {"image": b"" if row["image"] == "" else row["image"]} for row in rows]
    expected = {row["product_id"]: _fingerprint(row, version) for row in BY_BYTES}
    assert _tagged(spark, tmp_path, rows, "image") == expected


def test_rows_with_photos_by_uri_have_the_fingerprints_of_the_release(spark: SparkSession, tmp_path: Path) -> None:
    *fixed, dated = BY_URI
    photo = tmp_path / "photo.png"
    photo.write_bytes(bytes(dated["size"]))
    os.utime(photo, ns=(dated["modified_ns"], dated["modified_ns"]))
    rows = [*fixed, dated | {"image_uri": str(photo)}]
    version = small_bundle.read().model_version
    expected = {row["product_id"]: _fingerprint(row, version) for row in rows}
    assert _tagged(spark, tmp_path, rows, "image_uri") == expected


def test_texts_have_the_tokens_of_the_old_release() -> None:
    held = tokenizer.tokenizer_from_bytes((RELEASED / "tokenizer.json").read_bytes())
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
