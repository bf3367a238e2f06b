"""CSV files of a folder: each in its own dialect, no record nulled, swallowed or lost."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.catalog import sources
from fashion_udf.config import Csv
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def _frame(spark: SparkSession, path: Path, keys: tuple[str, ...] = ("product_id", "title"), **csv: Any) -> DataFrame:
    ((_, frame),) = sources.open_source(spark, "input.path", str(path), "csv", Csv(**csv)).read(keys)
    return frame.select(*keys)


def _rows(spark: SparkSession, path: Path, **csv: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in _frame(spark, path, **csv).collect()), key=str)


def test_an_unclosed_quote_in_the_last_csv_field_does_not_swallow_the_file(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('product_id,title\n1,"hat\n2,tie\n3,belt\n')
    with pytest.raises(CatalogError, match=r"Received: 1 bad records: .*c.csv line 2: unclosed quote. Correct them"):
        _rows(spark, tmp_path / "c.csv")


def test_bad_csv_records_are_named_with_file_and_line_ten_at_most(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("product_id,title\n1,hat\n" + "x\n" * 12 + "2,tie,red\n")
    with pytest.raises(CatalogError, match="Received: 13 bad records: ") as caught:
        _rows(spark, tmp_path / "c.csv")
    assert str(caught.value).count("1 fields instead of 2") == 10
    assert "c.csv line 3: 1 fields" in str(caught.value)


def test_every_file_has_its_own_columns_dialect_and_compression(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("product_id,title,unused\n1,hat,x\n")
    (tmp_path / "men").mkdir()
    (tmp_path / "men" / "b: 2.csv").write_bytes("Title;product_id\r\nGürtel, weiß;2\r\n".encode("cp1252"))
    (tmp_path / "C.CSV.GZ").write_bytes(gzip.compress("product_id\ttitle\n3\tTuch\n".encode("utf-16")))
    (tmp_path / "d.csv").write_bytes(b'\xef\xbb\xbfproduct_id\n"4"\n')
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("e.csv", 'product_id|title\n5|"a|b"\n')
    assert _rows(spark, tmp_path) == [("1", "hat"), ("2", "Gürtel, weiß"), ("3", "Tuch"), ("4", None), ("5", "a|b")]
    notes = sources.open_source(spark, "input.path", str(tmp_path), "csv").notes
    assert sorted(note.split(" in 1 files")[0] for note in notes) == [
        "csv: delimiter ';', quote '\"', escape None, encoding 'cp1252'",
        "csv: delimiter '\\t', quote '\"', escape None, encoding 'utf-16'",
        "csv: delimiter '|', quote '\"', escape None, encoding 'utf-8-sig'",
    ]


def test_a_quote_that_is_escaped_for_the_first_time_far_behind_is_read(spark: SparkSession, tmp_path: Path) -> None:
    many = "".join(f"{number},{'hat ' * 30_000}\n" for number in range(10))
    (tmp_path / "c.csv").write_text(f'product_id,title\n{many}last,"5\\" heel, red"\n')
    assert _frame(spark, tmp_path).where("product_id = 'last'").collect()[0]["title"] == '5" heel, red'
    with pytest.raises(CatalogError, match=r"c.csv line 12: cannot be parsed"):
        _frame(spark, tmp_path, escape=None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "c.csv: no header: it is empty"),
        (gzip.compress(b"product_id\n" * 9000)[:40], "c.csv: compressed with gzip, and damaged or truncated"),
        (
            "sku;name\n1;Красное платье\n".encode("cp1251"),
            r"c.csv: bytes that are not UTF-8, .* set input.csv.encoding",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_cause(
    spark: SparkSession, tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "c.csv").write_bytes(content)
    with pytest.raises(CatalogError, match=problem):
        _rows(spark, tmp_path)


def test_a_name_twice_is_refused_only_if_it_is_used_and_empty_fields_behind_the_last_are_none(
    spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "c.csv").write_text("product_id,title,x,x,,\n1,hat,a,b,,\n2,tie,a,b,,,,\n")
    assert _rows(spark, tmp_path) == [("1", "hat"), ("2", "tie")]
    opened = sources.open_source(spark, "input.path", str(tmp_path), "csv")
    with pytest.raises(
        CatalogError, match=r"column names that differ by more than case. Received: x and x in .*c.csv. Rename"
    ):
        opened.require_one(("title", "x"))


def test_an_empty_csv_field_is_null_and_odd_names_survive(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "a b%20ж"
    folder.mkdir()
    (folder / "c.csv").write_text("product_id, `Odd` name. \n1,\n2,x\n", encoding="utf-8")
    opened = sources.open_source(spark, "input.path", str(folder), "csv")
    assert opened.columns == {"product_id": "product_id", "`odd` name.": "`Odd` name."}
    ((_, frame),) = opened.read(("product_id", "`odd` name."))
    assert sorted(tuple(row)[:2] for row in frame.collect()) == [("1", None), ("2", "x")]


def test_csv_rows_are_spread_over_more_tasks_than_files(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("product_id\n" + "".join(f"{row}\n" for row in range(100)))
    frame = _frame(spark, tmp_path / "c.csv", ("product_id",))
    assert frame.rdd.getNumPartitions() == 4 * spark.sparkContext.defaultParallelism
    assert frame.count() == 100
