"""Rows of a layout to catalog Parquet: every row written or rejected, in small row groups, never over old files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog import importing, public_layouts
from fashion_udf.errors import InputError
from fashion_udf.schema import to_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def _row(
    product_id: str | None, photo: Path | None = None, line: int = 1, problem: str | None = None
) -> tuple[Any, ...]:
    return product_id, "title", None, "Hats", str(photo) if photo else None, line, "raw", problem


def _frame(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    return spark.createDataFrame(rows, to_spark(public_layouts.ROWS))


def test_photo_bytes_and_rejected_records_are_written(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(b"jpeg")
    rows = [_row("1", tmp_path / "p.jpg"), _row("2"), _row(None, line=3, problem="unclosed quote")]
    counts = importing.write(_frame(spark, rows), "bytes", tmp_path / "out", tmp_path / "bad")
    assert counts == importing.Counts(3, 2, 1, 1, ("line 3: unclosed quote: raw",))
    table = ds.dataset(tmp_path / "out").to_table()
    assert table.column_names == ["product_id", "title", "description", "image", "category"]
    assert sorted(zip(table["product_id"].to_pylist(), table["image"].to_pylist(), strict=True)) == [
        ("1", b"jpeg"),
        ("2", None),
    ]
    assert ds.dataset(tmp_path / "bad").to_table().to_pylist() == [
        {"line": 3, "problem": "unclosed quote", "raw": "raw"}
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "out", "p.jpg"]


def test_photo_paths_are_written_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    rows = [_row("1", tmp_path / "a ж%20.jpg"), _row("2")]
    counts = importing.write(_frame(spark, rows), "uri", tmp_path / "out", tmp_path / "bad")
    assert (counts.written, counts.with_photo) == (2, 1)
    table = ds.dataset(tmp_path / "out").to_table()
    assert table.column_names == ["product_id", "title", "description", "image_uri", "category"]
    assert set(table["image_uri"].to_pylist()) == {str(tmp_path / "a ж%20.jpg"), None}
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("photos", ["bytes", "uri"])
def test_attributes_are_written_where_the_layout_has_them(spark: SparkSession, tmp_path: Path, photos: str) -> None:
    from pyspark.sql import functions as F

    rows = _frame(spark, [_row("1")])
    for number, name in enumerate(public_layouts.ATTRIBUTES):
        rows = rows.withColumn(name, F.lit(f"value {number}"))
    importing.write(rows, photos, tmp_path / "out", tmp_path / "bad")
    table = ds.dataset(tmp_path / "out").to_table()
    assert table.column_names[4:] == ["category", "gender", "base_colour", "season", "usage"]
    assert [table[name].to_pylist() for name in public_layouts.ATTRIBUTES] == [[f"value {n}"] for n in range(4)]


def test_row_groups_with_photos_are_small(spark: SparkSession, tmp_path: Path) -> None:
    rows = []
    for number in range(70):
        (tmp_path / f"{number}.jpg").write_bytes(os.urandom(1_000_000))
        rows.append(_row(str(number), tmp_path / f"{number}.jpg"))
    importing.write(_frame(spark, rows), "bytes", tmp_path / "out", tmp_path / "bad")
    (file,) = (tmp_path / "out").glob("*.parquet")
    groups = [pq.ParquetFile(file).metadata.row_group(number) for number in range(pq.ParquetFile(file).num_row_groups)]
    assert sum(group.num_rows for group in groups) == 70
    assert max(group.num_rows for group in groups) <= 24  # 16 MB, checked every 8 rows


def test_the_rows_of_one_import_are_in_one_order(spark: SparkSession, tmp_path: Path) -> None:
    rows = [_row(str(number), line=number) for number in range(50)]
    orders = []
    for name, given in (("a", rows), ("b", rows[::-1])):
        importing.write(_frame(spark, given), "uri", tmp_path / name, tmp_path / "bad")
        orders.append(ds.dataset(tmp_path / name).to_table()["product_id"].to_pylist())
    assert orders[0] == orders[1]


def test_a_directory_that_exists_is_refused_and_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="Expected a new directory. Received: .*out, which exists"):
        importing.write(_frame(spark, []), "uri", tmp_path / "out", tmp_path / "bad")
    with pytest.raises(InputError, match="Expected a new directory. Received: .*out, which exists"):
        importing.write(_frame(spark, []), "uri", tmp_path / "new", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_import_that_fails_leaves_no_catalog(spark: SparkSession, tmp_path: Path) -> None:
    rows = _frame(spark, [_row("1", tmp_path / "vanished.jpg")])
    with pytest.raises(Exception, match="vanished.jpg"):
        importing.write(rows, "bytes", tmp_path / "out", tmp_path / "bad")
    assert not (tmp_path / "out").exists()
    (tmp_path / "vanished.jpg").write_bytes(b"jpeg")
    assert importing.write(rows, "bytes", tmp_path / "out", tmp_path / "bad").with_photo == 1


def test_an_empty_layout_is_an_empty_catalog(spark: SparkSession, tmp_path: Path) -> None:
    counts = importing.write(_frame(spark, []), "bytes", tmp_path / "out", tmp_path / "bad")
    assert counts == importing.Counts(0, 0, 0, 0, ())
    assert spark.read.parquet(str(tmp_path / "out")).columns == [
        "product_id",
        "title",
        "description",
        "image",
        "category",
    ]
