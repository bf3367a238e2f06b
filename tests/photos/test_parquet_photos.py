"""Photos in Parquet files: each row's own photo from any file that Spark reads too, with few bytes held at a time."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.catalog import columns
from fashion_udf.config import Columns, Input
from fashion_udf.errors import CatalogError
from fashion_udf.photos import parquet_photos
from fashion_udf.photos.parquet_photos import PhotoColumn, Reader

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMN = PhotoColumn(images=(("image",),), product_id=("product_id",))


def _photo(number: int) -> bytes | None:
    return None if number % 5 == 3 else b"photo %d" % number * 50


def _file(path: Path, rows: int, **options: Any) -> str:
    """Write rows 0 to `rows`; returns Spark's name for the file."""
    photos = pa.array([_photo(number) for number in range(rows)], options.pop("kind", pa.binary()))
    table = pa.table({"product_id": [f"p{number}" for number in range(rows)], options.pop("name", "image"): photos})
    pq.write_table(table, path, **options)
    return f"file://{path}"


def _places(file: str, rows: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"file": file, "row": rows, "product_id": [f"p{row}" for row in rows]})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 7},
        {"row_group_size": 7, "use_dictionary": False, "compression": "zstd", "data_page_size": 100},
        {"kind": pa.large_binary(), "data_page_version": "2.0"},
        {"name": "IMAGE"},  # Spark does not heed the case either
    ],
)
@given(rows=st.lists(st.integers(0, 39), max_size=40))
def test_each_row_has_its_own_photo_in_whatever_order_rows_come(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any], rows: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("files")
    files = [_file(folder / name, 40, **dict(options)) for name in ("a", "b")]
    places = pd.concat([_places(files[at % 2], [row]) for at, row in enumerate(rows)] or [_places(files[0], [])])
    with Reader(COLUMN) as reader:
        assert list(reader.photos(places)) == [_photo(row) for row in rows]


def test_rows_in_the_order_of_the_file_read_each_row_group_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    begin = Reader._begin
    monkeypatch.setattr(Reader, "_begin", lambda self, group: begun.append(group) or begin(self, group))  # type: ignore[func-returns-value]
    file = _file(tmp_path / "a", 100, row_group_size=10)
    with Reader(COLUMN) as reader:
        for start in (0, 25, 60):  # the batches of a task, none of which needs the groups 1 and 5
            list(reader.photos(_places(file, [*range(start, start + 9), *range(start + 20, start + 25)])))
    assert begun == [0, 2, 3, 4, 6, 8]


def test_a_file_without_the_column_has_no_photos(tmp_path: Path) -> None:
    pq.write_table(pa.table({"product_id": ["p0", "p1"], "title": ["a", "b"]}), tmp_path / "a")
    with Reader(COLUMN) as reader:
        assert list(reader.photos(_places(f"file://{tmp_path}/a", [0, 1]))) == [None, None]
        assert reader.ids_without_photo(f"file://{tmp_path}/a") == ["p0", "p1"]


def test_a_replaced_file_gives_no_product_the_photo_of_another(tmp_path: Path) -> None:
    file = _file(tmp_path / "a", 10)
    places = _places(file, [4]).assign(product_id="p5")
    message = f"Received: another product than 'p5' in row 4 of {file}. Run again when the catalog is written"
    with Reader(COLUMN) as reader, pytest.raises(CatalogError, match=re.escape(message)):
        list(reader.photos(places))
    with Reader(COLUMN) as reader, pytest.raises(CatalogError, match="another product than 'p10' in row 10"):
        list(reader.photos(_places(file, [10])))  # the file has become shorter


def test_a_damaged_or_missing_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    file = _file(tmp_path / "a", 10)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-20])
    for name in (file, f"file://{tmp_path}/gone", "s3a://bucket/a"):
        expected = f"^Expected {re.escape(name)} to be a readable Parquet file. Received: .+"
        with Reader(COLUMN) as reader, pytest.raises(CatalogError, match=expected) as raised:
            list(reader.photos(_places(name, [0])))
        assert "\n" not in str(raised.value)
    assert parquet_photos.largest_row_group(file, COLUMN) == 0
    assert (
        parquet_photos.largest_row_group(_file(tmp_path / "b", 100, use_dictionary=False), COLUMN) > 100 * 50 * 8 * 0.7
    )


def test_too_little_memory_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 268435456 failed")

    monkeypatch.setattr(Reader, "_row", fail)
    file = _file(tmp_path / "a", 4)
    with Reader(COLUMN) as reader, pytest.raises(pa.ArrowMemoryError, match="malloc of size"):
        list(reader.photos(_places(file, [0])))


def test_few_photos_are_held_at_a_time(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"product_id": [f"p{at}" for at in range(40)], "image": [os.urandom(1_000_000) for _ in range(40)]}),
        tmp_path / "a",
        use_dictionary=False,
        data_page_size=1_000_000,
        write_batch_size=1,
    )
    pool = pa.default_memory_pool()
    before, most = pool.bytes_allocated(), 0
    with Reader(COLUMN) as reader:
        for _ in reader.photos(_places(f"file://{tmp_path}/a", [*range(40)])):
            most = max(most, pool.bytes_allocated() - before)
    assert 1_000_000 <= most < 25_000_000


@pytest.mark.parametrize("name", ["plain.parquet", "a b%20c #?+é.parquet"])
def test_spark_names_files_and_rows_so_that_workers_find_the_photos(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in, 100%").mkdir()
    _file(tmp_path / "in, 100%" / name, 40, row_group_size=7)
    _file(tmp_path / "in, 100%" / f"second {name}", 5)
    catalog = columns.read(spark, Input(path=str(tmp_path / "in, 100%"), columns=Columns(title=None)))
    source = catalog.rows
    assert catalog.photos == COLUMN
    some = source.where("cast(substring(product_id, 2) as int) % 3 != 1").drop("image")
    rows = parquet_photos.in_file_order(some, 3)
    found = rows.withColumn("photo", parquet_photos.facts_udf(COLUMN)(parquet_photos.place())).collect()
    expected = [number for number in [*range(40), *range(5)] if number % 3 != 1]
    digests = {number: sha256(photo).hexdigest() for number in range(40) if (photo := _photo(number)) is not None}
    assert sorted((row["product_id"], row["photo"]["sha256"] or "") for row in found) == sorted(
        (f"p{number}", digests.get(number, "")) for number in expected
    )
    assert {row["photo"]["bytes"] for row in found if row["product_id"] == "p3"} == {None}
    without = [row["product_id"] for row in parquet_photos.without_photo(source, COLUMN).collect()]
    assert sorted(without) == sorted(f"p{number}" for number in [*range(40), *range(5)] if number % 5 == 3)


def test_row_groups_without_a_null_are_not_read_to_find_rows_without_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    begin = Reader._begin
    monkeypatch.setattr(Reader, "_begin", lambda self, group: begun.append(group) or begin(self, group))  # type: ignore[func-returns-value]
    file = _file(tmp_path / "a", 10, row_group_size=3)  # rows 3 and 8 have no photo
    with Reader(COLUMN) as reader:
        assert reader.ids_without_photo(file) == ["p3", "p8"]
    assert begun == [1, 2]
