"""Row groups that Spark reads: what it holds of the largest one, known from the footers alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog import row_groups
from fashion_udf.catalog.row_groups import RowGroup

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _write(path: Path, rows: int, dictionary: bool) -> None:
    table = pa.table({"id": [str(row) for row in range(rows)], "Image": [os.urandom(10_000) for _ in range(rows)]})
    pq.write_table(table, path, row_group_size=50, use_dictionary=dictionary)


def test_the_largest_row_group_is_found_and_a_dictionary_counts_more(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a b%20").mkdir()
    _write(tmp_path / "a b%20" / "small.parquet", 10, True)
    _write(tmp_path / "a b%20" / "plain.parquet", 120, False)
    plain = row_groups.largest(spark.read.parquet(str(tmp_path / "a b%20")), "image")
    assert plain.size == pytest.approx(500_000, rel=0.01) and plain.dictionary == 0 and plain.held == 2 * plain.size
    _write(tmp_path / "a b%20" / "written by pandas.parquet", 45, True)
    packed = row_groups.largest(spark.read.parquet(str(tmp_path / "a b%20")), "image")
    assert packed.size == pytest.approx(450_000, rel=0.01), "smaller, and needs more"
    assert packed.held == pytest.approx(5 * packed.size, rel=0.01)


def test_photos_in_lists_and_structs_count_with_all_their_fields(spark: SparkSession, tmp_path: Path) -> None:
    photos = [os.urandom(10_000) for _ in range(9)]
    table = pa.table(
        {"Photo": [{"bytes": photo, "path": "x"} for photo in photos], "photos": [[each] for each in photos]}
    )
    pq.write_table(table, tmp_path / "a", use_dictionary=False)
    for name in ("photo", "photos"):
        assert row_groups.largest(spark.read.parquet(str(tmp_path)), name).size == pytest.approx(90_000, rel=0.01)


def test_of_what_is_no_parquet_file_nothing_is_known(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text('{"image": "aGk="}\n', encoding="utf-8")
    assert row_groups.largest(spark.read.json(str(tmp_path / "lines")), "image") == RowGroup()
    assert row_groups.largest(spark.range(1).selectExpr("'' image"), "image") == RowGroup()
