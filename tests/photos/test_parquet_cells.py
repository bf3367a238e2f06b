"""Cells of Parquet files, read as Spark reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from fashion_udf.photos import parquet_cells

A_UUID = UUID("0A1B2C3D-0000-4000-8000-00000000ABCD")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([" 007 "]), " 007 "),
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array([b"caf\xe9"]), "caf\ufffd"),
        (pa.array([b"caf\xe9"]).view(pa.string()), "caf\ufffd"),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([b"ab"], pa.binary(2)), "ab"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([-7], pa.int8()), "-7"),
        (pa.array([Decimal(10_000_000)], pa.decimal128(38, 0)), "10000000"),
        (pa.array([A_UUID.bytes], pa.uuid()), str(A_UUID)),
        (pa.array([None], pa.string()), None),
        (pa.array([None], pa.uuid()), None),
    ],
)
def test_an_id_is_the_string_that_spark_makes_of_it(cells: pa.Array, expected: str | None) -> None:
    assert parquet_cells.text(cells[0]) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([b"nan"]), b"nan"),  # bytes, of whatever they are
        (pa.array([b"\xff"], pa.large_binary()), b"\xff"),
        (pa.array([b"x"]).dictionary_encode(), b"x"),
        (pa.array(["aGk="]), b"aGk="),
        (pa.array([b"\xff\xd8"]).view(pa.string()), b"\xff\xd8"),
        (pa.array([" NaN\u00a0"]), None),
        (pa.array([None], pa.binary()), None),
        (pa.array([float("nan")]), None),
    ],
)
def test_a_photo_is_the_bytes_of_its_cell_and_a_word_for_nothing_is_none(cells: pa.Array, expected: Any) -> None:
    assert parquet_cells.photo(cells[0]) == expected


def test_a_path_is_found_without_case_and_leads_to_nothing_where_the_file_has_no_value() -> None:
    photo = pa.struct([("Bytes", pa.binary()), ("path", pa.null())])
    schema = pa.schema([("Photo", photo), ("a.b", pa.large_binary()), ("n", pa.float64()), ("image", pa.string())])
    assert parquet_cells.located(schema, ("photo", "bytes")) == ("Photo", "Bytes")
    assert parquet_cells.is_binary(schema, ("Photo", "Bytes")) and parquet_cells.is_binary(schema, ("a.b",))
    assert not parquet_cells.is_binary(schema, ("image",))
    for path in (("photo", "path"), ("photo", "none"), ("image", "bytes"), ("n",), ("none",)):
        assert parquet_cells.located(schema, path) is None
    rows = [{"Photo": {"Bytes": b"1"}}, {"Photo": None}, {"Photo": {"Bytes": None}}]
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([("Photo", photo)]))
    cells = [parquet_cells.photo(parquet_cells.cell(batch, ("Photo", "Bytes"), row)) for row in range(3)]
    assert cells == [b"1", None, None]
