"""JSON lines: numbers as written, no line lost, no value lost to a key in another case."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.catalog import columns, sources
from fashion_udf.config import Columns, Input
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _rows(spark: SparkSession, path: Path, *keys: str) -> list[tuple[Any, ...]]:
    ((_, frame),) = sources.open_source(spark, "input.path", str(path), "json").read(keys)
    return sorted((tuple(row) for row in frame.select(*keys).collect()), key=str)


def test_json_numbers_are_strings_as_written(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"product_id": 1e5, "n": 1.50}\n{"product_id": 9223372036854775809, "n": true}\n')
    assert _rows(spark, tmp_path / "c.json", "n", "product_id") == [("1.50", "1e5"), ("true", "9223372036854775809")]


def test_json_lines_that_are_no_objects_are_counted_and_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"product_id": "1"}\n{"product_id":\nhello\n')
    with pytest.raises(CatalogError, match=r"JSON object on every line. Received: 2 bad lines: .*hello"):
        _rows(spark, tmp_path / "c.json", "product_id")
    (tmp_path / "c.json").write_text("hello\n")
    with pytest.raises(CatalogError, match=r"JSON object on every line. Received: .*c.json, which has none"):
        _rows(spark, tmp_path / "c.json", "product_id")


def test_keys_that_differ_in_case_alone_are_refused_if_they_are_used(spark: SparkSession, tmp_path: Path) -> None:
    lines = ['{"product_id": "1", "title": "hat", "Colour": "x"}', '{"product_id": "2", "Title": "tie", "colour": "y"}']
    (tmp_path / "c.json").write_text("\n".join(lines))
    source = Input(path=str(tmp_path), format="json", columns=Columns(image=None))
    with pytest.raises(
        CatalogError, match=r"names that differ by more than case. Received: Title and title in .*. Rename one"
    ):
        columns.read(spark, source)
    (tmp_path / "c.json").write_text(lines[0] + "\n" + lines[1].replace("Title", "title"))
    assert columns.read(spark, source).rows.count() == 2, "of columns that nobody uses nothing is lost"


def test_what_spark_does_not_unpack_or_decode_is_named(spark: SparkSession, tmp_path: Path) -> None:
    line = b'{"product_id": "1"}\n'
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(line))
    (tmp_path / "d.json").write_bytes(b"\xef\xbb\xbf" + line)
    assert _rows(spark, tmp_path, "product_id") == [("1",), ("1",)]
    for name, data, expected in (
        ("E.JSON.GZ", gzip.compress(line), "gzip"),
        ("e.json.xz", lzma.compress(line), "xz"),
        ("e.json", line.decode().encode("utf-16"), "utf-16. Save it as UTF-8"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CatalogError, match=rf"Received: {tmp_path}/{name}, which is {expected}"):
            _rows(spark, tmp_path, "product_id")
        (tmp_path / name).unlink()
