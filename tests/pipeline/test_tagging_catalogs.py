"""Catalogs as other programs write them, through whole nights: nothing is lost in silence, and all readers open it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf import config
from fashion_udf.commands.tag import preview_summary
from fashion_udf.config import JobConfig
from fashion_udf.errors import CatalogError
from fashion_udf.pipeline import tagging
from fashion_udf.table import paths, snapshot
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _jpeg(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (level, 10, 10)).save(file, "JPEG")
    return file.getvalue()


def _config(folder: Path, **given: Any) -> JobConfig:
    tree = {
        "input": {"path": str(folder / "in"), **given},
        "output": {"path": str(folder / "out")},
        "bundle": str(small_bundle.directory()),
    }
    return config.validate(JobConfig, tree, "test")


def _published(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Read the published table as a user does, with DuckDB."""
    commit = snapshot.current(str(folder / "out"))
    assert commit is not None
    files = f"{paths.data_dir(str(folder / 'out'), commit)}/*.parquet"
    rows = duckdb.sql(f"select product_id, status, modality, image_sha256, error from '{files}'").fetchall()
    return {row[0]: row[1:] for row in rows}


def _text(*values: bytes | None) -> pa.Array:
    return pa.array(values, pa.binary()).view(pa.string())


def test_bytes_that_are_not_utf_8_end_no_night_and_reach_no_reader(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "in" / "women").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(_jpeg(90))
    first = {
        "product_id": _text(b"a", b"b", b"\xe9", b"c", b"d"),
        "title": _text(b"Chemise \xe9t\xe9", b"Hat", b"Hat", b"Bag", None),
        "image_uri": _text(b"a.jpg", b"/b.jpg|a.jpg", b"a.jpg", b"caf\xe9.jpg", b" NaN"),
    }
    pq.write_table(pa.table(first), tmp_path / "in" / "1.parquet")
    pq.write_table(pa.table({"product_id": ["e"], "Title": ["Belt"]}), tmp_path / "in" / "women" / "2.parquet")
    night = _config(tmp_path, image_roots=[(tmp_path / "photos").as_uri()], max_rejected=1)
    plan = preview_summary(tagging.preview(spark, night))
    told = (("accepted", 5), ("rejected", 1), ("rows_with_photo", 3), ("rows_with_text", 4), ("texts_not_utf8", 1))
    assert {name: f"{name} " in plan for name, _ in told} == {name: True for name, _ in told}
    assert "files: 2 found, 2 read\n" in plan and "1 of 2 files have no column 'image_uri'" in plan
    counts = tagging.tag(spark, night).counts.as_dict()
    assert {name: counts[name] for name, _ in told} == dict(told)
    assert counts["rows_with_more_photos"] == 1
    found = _published(tmp_path)
    assert {name: row[:2] for name, row in found.items()} == {
        "a": ("ok", "both"),
        "b": ("ok", "both"),
        "c": ("image_missing", "text"),
        "d": ("image_none", "none"),
        "e": ("image_none", "text"),
    }
    assert found["a"][2] == found["b"][2]
    assert "not UTF-8" in found["c"][3]
    assert not tagging.tag(spark, night).published, "the next night finds nothing new"


def test_photos_written_as_text_are_scored_like_their_bytes_and_once(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo = base64.b64encode(_jpeg(200))
    cells = [photo, b"data:image/jpeg;base64," + photo, b"\\x" + _jpeg(200).hex().encode(), b"null"]
    lines = [f"{number}\tHat\t{cell.decode()}\n" for number, cell in enumerate(cells)]
    (tmp_path / "in" / "feed.tsv").write_text("id\tTitle\tPicture\n" + "".join(lines))
    night = _config(tmp_path, format="csv")
    tagging.tag(spark, night)
    found = _published(tmp_path)
    assert [found[str(number)][0] for number in range(4)] == ["ok", "ok", "ok", "image_none"]
    assert len({found[str(number)][2] for number in range(3)}) == 1
    assert not tagging.tag(spark, night).published


def test_a_file_that_turns_out_to_be_damaged_is_named_with_the_whole_cause(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    given = {"product_id": ["a"], "title": ["Hat"], "image": [_jpeg(1)]}
    pq.write_table(pa.table(given), tmp_path / "in" / "a.parquet")
    pq.write_table(pa.table({**given, "product_id": ["b"]}), tmp_path / "in" / "b.parquet", compression="brotli")
    expected = r"Expected every file of input.path .* Received: file:/.*in/b.parquet .*BrotliCodec"
    with pytest.raises(CatalogError, match=expected):
        tagging.tag(spark, _config(tmp_path))
