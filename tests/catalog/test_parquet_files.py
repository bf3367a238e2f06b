"""Parquet as other programs write it: the union of the columns, types that Spark does not know, damaged files named."""

from __future__ import annotations

import uuid
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog import columns, files, parquet_files
from fashion_udf.config import Columns, Input
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PHOTO = b"\xff\xd8\xff\xe0 jpeg"


def _write(path: Path, ids: list[Any] | pa.Array, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"product_id": ids, "title": [f"hat {number}" for number in range(len(ids))], **more}
    pq.write_table(pa.table({name: values for name, values in given.items() if values is not None}), path)


def _read(spark: SparkSession, path: Path, **mapped: Any) -> dict[str, Any]:
    frame = columns.read(spark, Input(path=str(path), columns=Columns(**mapped))).rows
    return {row["product_id"]: row for row in frame.collect()}


def test_files_may_have_other_columns_in_other_case_and_every_value_is_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    _write(tmp_path / "2026-10.parquet", ["a"])
    _write(tmp_path / "2026-11.parquet", ["b"], image=[PHOTO], Description=["blue"])
    _write(tmp_path / "women" / "2026-12.parquet", ["c"], Image=[PHOTO], description=pa.nulls(1), Title=None)
    _write(tmp_path / "z" / "nan.parquet", ["d"], image=[float("nan")], description=[float("nan")])
    rows = _read(spark, tmp_path)
    found = {
        name: (row["title"], row["description"], row["image"] and bytes(row["image"])) for name, row in rows.items()
    }
    assert found == {
        "a": ("hat 0", None, None),
        "b": ("hat 0", "blue", PHOTO),
        "c": ("hat 0", None, PHOTO),
        "d": ("hat 0", None, None),
    }
    notes = columns.read(spark, Input(path=str(tmp_path))).notes
    assert notes[0] == "files: 4 found, 4 read"
    assert f"1 of 4 files have no column 'image', first {tmp_path}/2026-10.parquet" in notes


def test_the_columns_in_the_names_of_folders_are_columns(spark: SparkSession, tmp_path: Path) -> None:
    _write(tmp_path / "brand=Puma" / "a.parquet", ["a"], title=None, image=[PHOTO])
    _write(tmp_path / "brand=007" / "b.parquet", ["b"], title=None, image=[PHOTO])
    assert {name: row["title"] for name, row in _read(spark, tmp_path, title="brand").items()} == {
        "a": "Puma",
        "b": "007",
    }


def test_types_that_do_not_agree_are_refused_with_both_files(spark: SparkSession, tmp_path: Path) -> None:
    _write(tmp_path / "a.parquet", ["1"], image=[PHOTO])
    _write(tmp_path / "b.parquet", [1], image=[PHOTO])
    expected = (
        rf"'product_id' to have one type .* Received: string in {tmp_path}/a.parquet, int64 in {tmp_path}/b.parquet"
    )
    with pytest.raises(CatalogError, match=expected):
        _read(spark, tmp_path)


def test_a_file_without_ids_is_named(spark: SparkSession, tmp_path: Path) -> None:
    _write(tmp_path / "a.parquet", ["1"], image=[PHOTO])
    pq.write_table(pa.table({"title": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(CatalogError, match=rf"'product_id' .* in every file. Received: none in {tmp_path}/b.parquet"):
        _read(spark, tmp_path)


UUID = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([Decimal(10**37), Decimal(7)], pa.decimal128(38, 0)), ["1" + "0" * 37, "7"]),
        (pa.array([2**64 - 1, 7], pa.uint64()), [str(2**64 - 1), "7"]),
        (pa.array([2**32 - 1, 7], pa.uint32()), [str(2**32 - 1), "7"]),
        (pa.array([255, 7], pa.uint8()), ["255", "7"]),
        (pa.array([UUID.bytes, bytes(16)], pa.uuid()), [str(UUID), str(uuid.UUID(int=0))]),
        (pa.array([b"007", b"7"], pa.binary()), ["007", "7"]),
        (pa.array([b"007", b"008"], pa.binary(3)), ["007", "008"]),
        (pa.array(["007", "7"]).dictionary_encode(), ["007", "7"]),
        (pa.array(["007", "7"], pa.large_string()), ["007", "7"]),
    ],
    ids=str,
)
def test_ids_of_every_exact_type_are_their_digits_as_written(
    spark: SparkSession, tmp_path: Path, ids: pa.Array, expected: list[str]
) -> None:
    _write(tmp_path / "a.parquet", ids, image=[PHOTO, None])
    assert sorted(_read(spark, tmp_path)) == sorted(expected)


@pytest.mark.parametrize("ids", [[1.5], pa.array([Decimal("1.50")]), [True]], ids=str)
def test_ids_that_could_be_written_in_two_ways_are_refused(spark: SparkSession, tmp_path: Path, ids: Any) -> None:
    _write(tmp_path / "a.parquet", ids, image=[PHOTO])
    with pytest.raises(CatalogError, match=r"Expected column 'product_id' to be string .*Received: .* in .*a.parquet"):
        _read(spark, tmp_path)


def test_columns_that_nobody_uses_may_have_any_type_and_used_ones_are_named(
    spark: SparkSession, tmp_path: Path
) -> None:
    odd = {
        "nanos": pa.array([1], pa.timestamp("ns")),
        "time": pa.array([1], pa.time64("ns")),
        "small": pa.array([1], pa.float16()),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    }
    _write(tmp_path / "a.parquet", ["1"], image=[PHOTO], **odd)
    assert _read(spark, tmp_path, image_version="nanos")["1"]["image_version"] == "1", "a version is any exact value"
    with pytest.raises(CatalogError, match=r"Expected column 'time' to .*Received: time64.* in .*a.parquet"):
        _read(spark, tmp_path, title="time")


def test_bytes_that_are_not_utf_8_become_a_sign_in_texts_and_reject_an_id(spark: SparkSession, tmp_path: Path) -> None:
    def text(*values: bytes | None) -> pa.Array:
        return pa.array(values, pa.binary()).view(pa.string())

    _write(
        tmp_path / "a.parquet",
        text(b"a", b"b\xe9"),
        title=text(b"caf\xe9", b"\xff"),
        image_uri=text(b"/\xe9.jpg", None),
    )
    rows = columns.read(spark, Input(path=str(tmp_path))).rows
    found = {(row["product_id"], row["title"], row["image_uri"]) for row in rows.collect()}
    assert found == {("a", "caf\ufffd", "/\ufffd.jpg"), ("b\ufffd", "\ufffd", None)}
    accepted, rejected = columns.split_ids(rows)
    assert [row["product_id"] for row in accepted.collect()] == ["a"]
    assert [tuple(row) for row in rejected.collect()] == [("b\ufffd", "id_not_utf8", 1)]


@pytest.mark.parametrize("content", [b"", b"made by an export\n", b"PAR1 not really PAR1"])
def test_what_is_no_parquet_file_is_named(spark: SparkSession, tmp_path: Path, content: bytes) -> None:
    _write(tmp_path / "a.parquet", ["1"], image=[PHOTO])
    (tmp_path / "README.txt").write_bytes(content)
    with pytest.raises(CatalogError, match=rf"Received: {tmp_path}/README.txt \(.+\). Remove it, leave it out with"):
        _read(spark, tmp_path)


def test_the_footer_of_a_file_elsewhere_is_read_by_hadoop(spark: SparkSession, tmp_path: Path) -> None:
    _write(tmp_path / "a.parquet", ["1"], image=[PHOTO])
    path = f"file:{tmp_path}/a.parquet"
    (found,) = parquet_files.look(spark, files.Found(f"s3a:{tmp_path}", (path,), ()))
    assert found.types == {"product_id": pa.string(), "title": pa.string(), "image": pa.binary()}
