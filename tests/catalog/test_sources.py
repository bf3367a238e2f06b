"""Text sources: every value as written, no record nulled, swallowed or lost."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.catalog import sources
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _rows(spark: SparkSession, form: str, path: Path) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in sources.READERS[form](spark, str(path)).collect()), key=str)


def test_an_unclosed_quote_in_the_last_csv_field_does_not_swallow_the_file(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('product_id,title\n1,"hat\n2,tie\n3,belt\n')
    with pytest.raises(CatalogError, match=r"Received: 1 others: file:.*c.csv line 2: unclosed quote"):
        sources.READERS["csv"](spark, str(tmp_path / "c.csv"))


def test_bad_csv_records_are_named_with_file_and_line_ten_at_most(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("product_id,title\n1,hat\n" + "x\n" * 12 + "2,tie,red\n")
    with pytest.raises(CatalogError, match="Received: 13 others: ") as caught:
        sources.READERS["csv"](spark, str(tmp_path / "c.csv"))
    assert str(caught.value).count("1 fields instead of 2") == 10
    assert "c.csv line 3: 1 fields" in str(caught.value)


def test_csv_files_of_a_folder_may_order_their_columns_differently(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("product_id,title\n1,hat\n")
    (tmp_path / "b.csv").write_text("title,product_id\ntie,2\n")
    assert _rows(spark, "csv", tmp_path) == [("1", "hat"), ("2", "tie")]
    (tmp_path / "c.csv").write_text("product_id,name\n3,belt\n")
    with pytest.raises(CatalogError, match=r"Expected the same columns in every file of .* and \['product_id', 'name'"):
        _rows(spark, "csv", tmp_path)


def test_a_csv_header_must_be_there_and_name_each_column_once(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("product_id,title,title\n1,hat,cap\n")
    with pytest.raises(CatalogError, match="Expected different column names in the header of file:.*c.csv"):
        _rows(spark, "csv", tmp_path / "c.csv")
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "none").mkdir()
    for empty in ("c.csv", "none"):
        with pytest.raises(CatalogError, match=f"Expected CSV files with a header. Received: none in .*{empty}"):
            _rows(spark, "csv", tmp_path / empty)


def test_an_empty_csv_field_is_null_and_odd_names_survive(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "a b%20ж"
    folder.mkdir()
    (folder / "c.csv").write_text("product_id,`odd` name.\n1,\n2,x\n", encoding="utf-8")
    frame = sources.READERS["csv"](spark, str(folder / "c.csv"))
    assert frame.columns == ["product_id", "`odd` name."]
    assert _rows(spark, "csv", folder / "c.csv") == [("1", None), ("2", "x")]


def test_a_compressed_csv_file_is_read(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"product_id,title\n1,hat\n"))
    assert _rows(spark, "csv", tmp_path / "c.csv.gz") == [("1", "hat")]


def test_csv_rows_are_spread_over_more_tasks_than_files(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("product_id\n" + "".join(f"{row}\n" for row in range(100)))
    frame = sources.READERS["csv"](spark, str(tmp_path / "c.csv"))
    assert frame.rdd.getNumPartitions() == 4 * spark.sparkContext.defaultParallelism
    assert frame.count() == 100


def test_json_numbers_are_strings_as_written(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"product_id": 1e5, "n": 1.50}\n{"product_id": 9223372036854775809, "n": true}\n')
    assert _rows(spark, "json", tmp_path / "c.json") == [("1.50", "1e5"), ("true", "9223372036854775809")]


def test_json_lines_that_are_no_objects_are_counted_and_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"product_id": "1"}\n{"product_id":\nhello\n')
    with pytest.raises(CatalogError, match=r"JSON object on every line. Received: 2 other lines: .*hello"):
        _rows(spark, "json", tmp_path / "c.json")
    (tmp_path / "c.json").write_text("hello\n")
    with pytest.raises(CatalogError, match=r"JSON object on every line. Received: .*c.json, which has none"):
        _rows(spark, "json", tmp_path / "c.json")
