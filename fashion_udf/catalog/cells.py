"""Convert the cells of a catalog, whatever their type, to the strings and bytes of `CATALOG`, in Spark SQL.

The resulting texts are valid UTF-8: an invalid byte becomes U+FFFD. Spark itself would pass invalid bytes on, and other
readers could not open the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from fashion_udf.catalog.csv_files import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType, StructField, StructType

Role = Literal["image", "image_uri"]

DAMAGED = "\ufffd"  # replaces a byte that is not UTF-8
#: Texts that programs write for a missing value, in lower case.
NOTHING = ("", "nan", "null", "none", "<na>", "n/a", "nat", "nil", "undefined", "\\n", "#n/a")
#: Types with exactly one string for each value. Floats have several: the id 10000000.0 could become "1.0E7".
WHOLE_NUMBERS = ("tinyint", "smallint", "int", "bigint")
TIMES = ("date", "timestamp", "timestamp_ntz")
_BLANKS = " \t\r\n\u00a0\ufeff"
_ENDINGS = "jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|heic"
#: What separates the photos of a cell: a bar; or a comma, semicolon or line end after a photo's file ending, or before
#: another path or URI. Any other comma belongs to the name.
_BETWEEN = rf"(?i)\s*\|\s*|(?<=\.(?:{_ENDINGS}))\s*[,;\n]\s*|\s*[,;\n]\s*(?=/|[a-z][a-z0-9+.-]*:/)"
#: Fields of a struct that hold the bytes of a photo, or its path or URI.
_BYTES, _PLACES = ("bytes", "content", "data", "image"), ("url", "uri", "path", "src", "href", "link")


@dataclass(frozen=True)
class Photo:
    """A photo column: what it holds, the first photo of each cell, and the number of further photos.

    `fields` are the paths of struct fields that hold a photo; the first that is not null counts. A column that is no
    struct has one entry, `()`. `fields` is empty if Spark has to compute the photo of a cell.
    """

    role: Role
    first: Column
    further: Column
    fields: tuple[tuple[str, ...], ...] = ()


def at(frame: DataFrame, key: str, fields: Sequence[str]) -> tuple[Column, DataType | None]:
    """Return a column by its key, or a field of it, and its type. The type is None if the field is missing."""
    from pyspark.sql.types import StructType

    column, kind = frame[quoted(key)], frame.schema[key].dataType
    for name in fields:
        same = {field.name.casefold(): field for field in kind.fields} if isinstance(kind, StructType) else {}
        if name.casefold() not in same:
            return column, None
        field = same[name.casefold()]
        column, kind = column.getField(field.name), field.dataType
    return column, kind


def is_nan_alone(frame: DataFrame, column: Column, kind: DataType) -> bool:
    """Return whether a column of numbers holds only NaN: pandas writes a column without values this way."""
    from pyspark.sql import functions as F

    if kind.simpleString() not in ("float", "double"):
        return False
    return frame.where(column.isNotNull() & ~F.isnan(column)).limit(1).isEmpty()


def valid_text(column: Column, kind: DataType) -> Column:
    """Return a string or binary column as valid UTF-8."""
    from pyspark.sql import functions as F

    if kind.simpleString() == "binary" or not hasattr(F, "make_valid_utf8"):
        column = column.cast("binary").cast("string")
    if hasattr(F, "make_valid_utf8"):
        return F.make_valid_utf8(column)
    return F.decode(column.cast("binary"), "UTF-8")  # Spark 3.5 replaces invalid bytes


def exact_string(column: Column, kind: DataType, times: bool) -> Column | None:
    """Return a column as strings; None for a type with several strings for a value. `times` allows dates and times."""
    name = kind.simpleString()
    if name in ("string", "binary"):
        return valid_text(column, kind)
    whole = name in WHOLE_NUMBERS or (name.startswith("decimal(") and name.endswith(",0)"))
    return column.cast("string") if whole or (times and name in TIMES) else None


def trimmed(text: Column) -> Column:
    """Return a text without surrounding spaces, tabs, line ends and no-break spaces."""
    from pyspark.sql import functions as F

    return F.btrim(text, F.lit(_BLANKS))


def is_text(kind: DataType) -> bool:
    """Return whether a photo column of this type may hold either names or photos encoded as text."""
    from pyspark.sql.types import ArrayType, StringType

    return isinstance(kind.elementType if isinstance(kind, ArrayType) else kind, StringType)


def photo(column: Column, kind: DataType, role: Role | None) -> Photo | None:
    """Return what a photo column holds.

    Args:
        column: a column of bytes, text, a struct of these, or an array.
        kind: the type of the column.
        role: what the column holds. None means that the type decides.

    Returns:
        The photos; None if a column of this type cannot hold photos.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType, BinaryType, StringType, StructType

    one = F.lit(0)
    if isinstance(kind, ArrayType):
        given = F.filter(column, lambda each: each.isNotNull())
        if isinstance(kind.elementType, StringType):
            given = F.filter(given, lambda each: ~_is_nothing(each))
        found = photo(F.get(given, one), kind.elementType, role)
        return found and Photo(found.role, found.first, F.greatest(F.coalesce(F.size(given), one) - F.lit(1), one))
    if isinstance(kind, StructType):
        return _of_struct(column, kind, role)
    if isinstance(kind, BinaryType) and role != "image_uri":
        return Photo("image", column, one, ((),))
    if not isinstance(kind, (BinaryType, StringType)):
        return None
    text = valid_text(column, kind)
    if role == "image":
        # The Python workers decode base64: Spark's own decoder refuses common variants.
        return Photo("image", F.when(~_is_nothing(column), column.cast("binary")), one, ((),))
    return _named(text)


def _is_nothing(column: Column) -> Column:
    from pyspark.sql import functions as F

    start = F.substring(column, 1, 40)  # a photo in base64 is long
    return F.lower(trimmed(start)).isin(*NOTHING)


def _named(text: Column) -> Photo:
    from pyspark.sql import functions as F

    whole = trimmed(text)
    several = text.rlike(r"[|,;\n\[]") & ~text.startswith("data:")
    listed = F.when(whole.startswith("["), F.from_json(whole, "array<string>"))
    names = F.coalesce(listed, F.split(whole, _BETWEEN))
    names = F.filter(F.transform(names, trimmed), lambda each: ~_is_nothing(each))
    first = F.when(several, F.get(names, F.lit(0))).otherwise(F.when(~_is_nothing(text), whole))
    return Photo(
        "image_uri", first, F.when(several, F.greatest(F.size(names) - F.lit(1), F.lit(0))).otherwise(F.lit(0))
    )


def _of_struct(column: Column, kind: StructType, role: Role | None) -> Photo | None:
    from pyspark.sql import functions as F

    fields = {field.name.casefold(): field for field in kind.fields}
    if {"height", "width", "nchannels", "data"} <= fields.keys():
        return Photo(
            "image",
            _bitmap(*(column[fields[name].name] for name in ("height", "width", "nchannels", "data"))),
            F.lit(0),
        )
    places = [fields[name] for name in _PLACES if name in fields and fields[name].dataType.simpleString() == "string"]
    held = [fields[name] for name in _BYTES if name in fields]
    if held and role != "image_uri":
        found = _of_field(column, held[0], "image")
        # A name in place of bytes must not be dropped silently: the row gets a status.
        named = _of_field(column, places[0], "image") if places else None
        if found is None or named is None:
            return found
        first = F.when(column[held[0].name].isNotNull(), found.first).otherwise(named.first)
        return Photo("image", first, found.further, found.fields and found.fields + named.fields)
    return photo(column[places[0].name], places[0].dataType, "image_uri") if places and role != "image" else None


def _of_field(column: Column, field: StructField, role: Role) -> Photo | None:
    found = photo(column[field.name], field.dataType, role)
    return found and replace(found, fields=tuple((field.name, *names) for names in found.fields))


def _bitmap(height: Column, width: Column, channels: Column, data: Column) -> Column:
    """Return pixels as Spark's image source gives them (rows from the top, blue first) as a BMP file."""
    from pyspark.sql import functions as F

    def little(number: Column, size: int) -> Column:
        octets = (F.shiftright(number, 8 * at).bitwiseAND(F.lit(255)) for at in range(size))
        return F.format_string("%02X" * size, *octets)

    row = width * channels
    padding = F.repeat(F.lit("00"), F.pmod(-row, F.lit(4)))
    rows = F.transform(
        F.sequence(F.lit(0), height - F.lit(1)),
        lambda at: F.concat(F.hex(data.substr(at * row + F.lit(1), row)), padding),
    )
    palette = F.when(
        channels == F.lit(1),
        F.array_join(
            F.transform(
                F.sequence(F.lit(0), F.lit(255)), lambda grey: F.format_string("%02X%02X%02X00", grey, grey, grey)
            ),
            "",
        ),
    )
    colours = F.coalesce(palette, F.lit(""))
    start = (F.lit(54) + F.length(colours) / F.lit(2)).cast("int")
    header = (
        *(F.lit("424D"), little(start + F.octet_length(data), 4), F.lit("0" * 8), little(start, 4)),
        *(F.lit("28000000"), little(width, 4), little(-height, 4), F.lit("0100"), little(channels * F.lit(8), 2)),
    )
    whole = (height > F.lit(0)) & (width > F.lit(0)) & (F.octet_length(data) == height * row)
    return F.when(whole, F.unhex(F.concat(*header, F.lit("00" * 24), colours, F.array_join(rows, "")))).otherwise(data)
