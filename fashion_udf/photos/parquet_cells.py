"""Convert cells of a Parquet file: to the bytes of a photo, and to the same id string as in Spark."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

import pyarrow as pa

from fashion_udf.photos import encoded

#: A column's name, and the fields that lead into it where it is a struct.
Path: TypeAlias = tuple[str, ...]


def located(schema: pa.Schema, path: Path) -> Path | None:
    """Return a path, given in any case, in the spelling of a file; None if the file has no values at this path.

    It has no values if there is no such column or field, or only nulls, or floats (pandas writes nulls as floats).
    """
    kind: pa.DataType = pa.struct([*schema])
    found = list[str]()
    for name in path:
        fields = {field.name.casefold(): field for field in kind} if pa.types.is_struct(kind) else {}
        if name.casefold() not in fields:
            return None
        field = fields[name.casefold()]
        found.append(field.name)
        kind = _storage(field.type)
    return None if pa.types.is_null(kind) or pa.types.is_floating(kind) else tuple(found)


def is_binary(schema: pa.Schema, path: Path) -> bool:
    """Return whether a `located` path has bytes. Then every cell that is not null is a photo."""
    kind: pa.DataType = schema.field(path[0]).type
    for name in path[1:]:
        kind = _storage(kind).field(name).type
    kind = _storage(kind)
    return str(kind).removeprefix("large_") in ("binary", "binary_view") or pa.types.is_fixed_size_binary(kind)


def cell(batch: pa.RecordBatch, path: Path, row: int) -> pa.Scalar:
    """Return the cell of a row at a `located` path; null if a struct of the path is null."""
    scalar = batch.column(path[0])[row]
    for name in path[1:]:
        scalar = _plain(scalar)
        if not scalar.is_valid:
            break
        scalar = scalar[name]
    return scalar


def photo(scalar: pa.Scalar) -> bytes | None:
    """Return the bytes of a photo, or of its text; None for null, or for a text that means a missing photo."""
    value = _plain(scalar)
    if not isinstance(value, pa.BinaryScalar) or not value.is_valid:
        return None
    data: bytes = value.as_buffer().to_pybytes()
    return None if isinstance(value, _TEXT) and encoded.is_nothing(data) else data


def text(scalar: pa.Scalar) -> str | None:
    """Return an id as a string: text or bytes as UTF-8 with U+FFFD for invalid bytes, an integer, or a UUID."""
    value = _plain(scalar)
    if not value.is_valid:
        return None
    if str(scalar.type) == "extension<arrow.uuid>":
        return str(UUID(bytes=value.as_py()))
    if isinstance(value, pa.BinaryScalar):
        # `as_py` of a text raises for invalid UTF-8.
        return str(value.as_buffer().to_pybytes().decode("utf-8", "replace"))
    number = value.as_py()
    return format(number, "f") if isinstance(number, Decimal) else str(number)


_TEXT = (pa.StringScalar, pa.LargeStringScalar, *((pa.StringViewScalar,) if hasattr(pa, "StringViewScalar") else ()))


def _storage(kind: pa.DataType) -> pa.DataType:
    while isinstance(kind, pa.BaseExtensionType) or pa.types.is_dictionary(kind):
        kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind.value_type
    return kind


def _plain(scalar: pa.Scalar) -> pa.Scalar:
    """Return a cell with the simplest Arrow type of its value."""
    while scalar.is_valid and isinstance(scalar, (pa.ExtensionScalar, pa.DictionaryScalar)):
        scalar = scalar.value
    return scalar
