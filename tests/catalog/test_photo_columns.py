"""Photos of a catalog: those that Python workers read are the ones that Spark would read, whatever the files hold."""

from __future__ import annotations

import base64
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog import columns
from fashion_udf.config import Columns, Input
from fashion_udf.photos import parquet_photos

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 12


def _photos() -> list[bytes | None]:
    return [None if row % 5 == 3 else b"\xff\xd8\xff photo %d" % row * 20 for row in range(ROWS)]


def _struct(**fields: pa.DataType) -> pa.Array:
    rows = [{"bytes": photo, "path": None if photo else "a.jpg"} for photo in _photos()]
    return pa.array([{name: row[name] for name in fields} for row in rows], pa.struct([*fields.items()]))


#: Column of ids and of photos.
FILES: dict[str, tuple[pa.Array, pa.Array]] = {
    "plain": (pa.array([f" p{row}" for row in range(ROWS)]), pa.array(_photos())),
    "uint64": (pa.array([2**64 - 1 - row for row in range(ROWS)], pa.uint64()), pa.array(_photos(), pa.large_binary())),
    "decimal": (pa.array([Decimal(10**7 * row) for row in range(ROWS)]), pa.array(_photos()).dictionary_encode()),
    "binary": (pa.array([b"caf%d" % row for row in range(ROWS)]), pa.array(_photos())),
    "uuid": (pa.array([bytes([row]) * 16 for row in range(ROWS)], pa.uuid()), pa.array(_photos())),
    "struct": (pa.array([*range(ROWS)]), _struct(bytes=pa.binary())),
    "bytes or a name": (pa.array([*range(ROWS)]), _struct(bytes=pa.binary(), path=pa.string())),
    "base64": (
        pa.array([*range(ROWS)]),
        pa.array([base64.b64encode(photo).decode() if photo else "NaN" for photo in _photos()]),
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_workers_find_the_photos_that_spark_finds(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    from pyspark.sql import functions as F

    ids, photos = FILES[kind]
    (tmp_path / "men" / "shoes").mkdir(parents=True)
    table = pa.table({"SKU": ids, "Photo": photos})
    pq.write_table(table.slice(0, 7), tmp_path / "men" / "shoes" / "a.parquet", row_group_size=3)
    pq.write_table(table.slice(7, 3).append_column("more", [[1, 2, 3]]), tmp_path / "b.parquet")
    # Others have no photos, or a column of nulls.
    pq.write_table(table.slice(10, 1).select(["SKU"]), tmp_path / "c.parquet")
    nothing = pa.nulls(1)
    pq.write_table(table.slice(11, 1).set_column(1, "Photo", nothing), tmp_path / "men" / "d.parquet")
    catalog = columns.read(spark, Input(path=str(tmp_path), columns=Columns(product_id="sku", title=None)))
    assert catalog.photos is not None and catalog.photo_column == "Photo"
    facts = parquet_photos.facts_udf(catalog.photos)(parquet_photos.place())
    rows = catalog.rows.select("product_id", F.sha2("image", 256).alias("spark"), facts["sha256"].alias("worker"))
    found = {row["product_id"]: (row["spark"], row["worker"]) for row in rows.collect()}
    assert len(found) == ROWS and all(spark == worker for spark, worker in found.values())
    assert sum(worker is not None for _, worker in found.values()) == (10 if kind == "bytes or a name" else 8)
    without = parquet_photos.without_photo(catalog.rows, catalog.photos).collect()
    assert {row["product_id"] for row in without} == {name for name, (spark, _) in found.items() if spark is None}


@pytest.mark.parametrize(
    ("photo", "form"),
    [
        ([[b"1", b"2"]], "parquet"),  # the first of several
        ([[{"height": 1, "width": 1, "nChannels": 3, "data": b"123"}][0]], "parquet"),  # pixels
        (["a.jpg"], "parquet"),
        ([b"1"], "table"),
    ],
)
def test_spark_reads_what_is_no_cell_of_a_local_file(
    spark: SparkSession, tmp_path: Path, photo: list[Any], form: str
) -> None:
    pq.write_table(pa.table({"product_id": ["1"], "title": ["x"], "photo": photo}), tmp_path / "a.parquet")
    path = str(tmp_path)
    if form == "table":
        spark.read.parquet(path).createOrReplaceTempView(path := "photo_columns_view")
    catalog = columns.read(spark, Input(path=path, format=form))  # type: ignore[arg-type]
    assert catalog.photos is None and "row" not in catalog.rows.columns
    assert catalog.photo_column == (None if photo == ["a.jpg"] else "photo")


def test_an_id_in_the_name_of_a_folder_cannot_be_checked_in_the_file(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "product_id=7").mkdir()
    pq.write_table(pa.table({"title": ["x"], "image": [b"1"]}), tmp_path / "product_id=7" / "a.parquet")
    catalog = columns.read(spark, Input(path=str(tmp_path)))
    (row,) = catalog.rows.collect()
    assert catalog.photos is None and (row["product_id"], row["image"]) == ("7", b"1")
