"""Read Parquet files as data frames, with the union of their columns.

Spark uses the schema of one file for all files. So this module reads each footer. Files with the same types of the used
columns are read together, with exactly these columns as schema. Unused columns may have any type.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.catalog import files
from fashion_udf.catalog.csv_files import quoted
from fashion_udf.catalog.files import Found
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType

_THREADS = 16
_MAGIC = b"PAR1"
#: Arrow types that Spark reads as another type. The oldest supported pyarrow lacks some of them.
_SAME = {
    "large_string": pa.string(),
    "string_view": pa.string(),
    "large_binary": pa.binary(),
    "binary_view": pa.binary(),
}


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file and the types of its columns."""

    path: str
    types: dict[str, pa.DataType]
    partitions: tuple[str, ...]  # columns whose values are in the names of folders


def look(spark: SparkSession, found: Found) -> list[ParquetFile]:
    """Read the footer of every file.

    Raises:
        CatalogError: a file is not Parquet, or is damaged.
    """
    read: Callable[[str], bytes | str] = str if found.is_local else lambda path: _remote_footer(spark, path)

    def one(path: str) -> ParquetFile:
        source = read(path)
        try:
            schema = pq.read_schema(source if isinstance(source, str) else io.BytesIO(source))
        except (pa.ArrowException, OSError) as error:
            cause = " ".join(str(error).split())[:200]
            raise CatalogError(
                f"Expected Parquet files. Received: {path} ({cause}). Remove it, leave it out with input.ignore, or "
                f"{files.SET_FORMAT}"
            ) from error
        folders = path[len(found.root) :].split("/")[:-1]
        partitions = tuple(name.partition("=")[0] for name in folders if "=" in name)
        return ParquetFile(path, dict(zip(schema.names, schema.types, strict=True)), partitions)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="footer") as pool:
        return list(pool.map(one, found.read))


def _remote_footer(spark: SparkSession, path: str) -> bytes:
    """Return the footer of a file on another file system, read by Hadoop."""
    jvm: Any = spark._jvm
    place = jvm.org.apache.hadoop.fs.Path(path)
    system = place.getFileSystem(files.hadoop_configuration(spark))
    size = system.getFileStatus(place).getLen()

    def last(count: int) -> bytes:
        stream = system.open(place)
        try:
            stream.seek(max(size - count, 0))
            return bytes(jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()

    end = last(8)
    return _MAGIC + last(int.from_bytes(end[:4], "little") + 8) if end[4:] == _MAGIC else end


def read(
    spark: SparkSession, found: Found, parquet_files: Sequence[ParquetFile], keys: Sequence[str]
) -> list[tuple[str, DataFrame]]:
    """Read some columns.

    Args:
        spark: the session.
        found: the files.
        parquet_files: the result of `look` for these files.
        keys: names of the columns, in lower case.

    Returns:
        A pair for each group of files with the same types: the name of one file, and a data frame with the columns that
        the group has, named by their keys. A column of nulls is left out.

    Raises:
        CatalogError: a column has an unsupported type, or different types in two files. The message names the files.
    """
    _require_agreement(parquet_files, keys)
    groups: dict[tuple[Any, ...], list[ParquetFile]] = {}
    for each in parquet_files:
        used = {name.casefold(): name for name in each.types if name.casefold() in keys}
        held = {key: (name, each.types[name]) for key, name in used.items() if not pa.types.is_null(each.types[name])}
        parts = tuple(name for name in each.partitions if name.casefold() in keys)
        groups.setdefault((tuple(held.items()), parts), []).append(each)
    return [
        (group[0].path, _frame(spark, found, [each.path for each in group], dict(held), parts))
        for (held, parts), group in groups.items()
    ]


def _frame(
    spark: SparkSession, found: Found, paths: list[str], held: dict[str, tuple[str, pa.DataType]], parts: Iterable[str]
) -> DataFrame:
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructField, StructType

    schema = StructType()
    columns = [F.col(quoted(name)).alias(name.casefold()) for name in parts]
    for key, (name, kind) in held.items():
        spark_type, converted = _readable(kind, name, paths[0])
        schema = schema.add(StructField(name, spark_type))
        columns.append(converted(F.col(quoted(name))).alias(key))
    reader = spark.read.schema(schema)
    if any(True for _ in parts):
        reader = reader.option("basePath", f"file:{found.root}" if found.is_local else found.root)
    frame = reader.parquet(*(files.for_spark(path) for path in paths))
    places = [F.col("_metadata.file_path").alias(SPARK_FILE)]
    if found.is_local and len(columns) == len(held):
        places.append(F.col("_metadata.row_index").alias(SPARK_ROW))
    return frame.select(*columns, *places)


#: Added columns: the file of a row, as Spark names it, and the row's position in it, from 0. The position is present
#: only if Python can open the files, and no used column is a partition.
SPARK_FILE, SPARK_ROW = "_spark_file", "_spark_row"


def _readable(kind: pa.DataType, name: str, path: str) -> tuple[DataType, Callable[[Column], Column]]:
    """Return the type in which Spark reads a column, and a function that converts the column."""
    from pyspark.sql import functions as F
    from pyspark.sql import types as T
    from pyspark.sql.pandas.types import from_arrow_type

    if _is_uuid(kind):
        digits = r"^(.{8})(.{4})(.{4})(.{4})(.{12})$"
        return T.BinaryType(), lambda column: F.regexp_replace(F.lower(F.hex(column)), digits, "$1-$2-$3-$4-$5")
    # Spark has no unsigned integers and reads them as a wider type.
    wider = {pa.uint8(): T.ShortType(), pa.uint16(): T.IntegerType(), pa.uint32(): T.LongType()}
    wider |= {pa.uint64(): T.DecimalType(20, 0)}
    if pa.types.is_timestamp(kind) and kind.unit == "ns":  # Spark has no such type and reads an integer
        wider[kind] = T.LongType()
    if kind in wider:
        return wider[kind], lambda column: column
    try:
        if pa.types.is_time(kind) or pa.types.is_float16(kind):
            raise TypeError(kind)
        return from_arrow_type(_plain(kind), prefer_timestamp_ntz=True), lambda column: column
    except Exception as error:  # pyspark raises several types of exceptions here
        raise CatalogError(
            f"Expected column {name!r} to have a type that Spark reads. Received: {kind} in {path}"
        ) from error


def _is_uuid(kind: pa.DataType) -> bool:
    return str(kind) == "extension<arrow.uuid>"


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the simplest Arrow type with the same values: Spark does not distinguish the others."""
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in kind])
    return _SAME.get(str(kind), kind)


def _require_agreement(parquet_files: Sequence[ParquetFile], keys: Sequence[str]) -> None:
    first: dict[str, tuple[str, str, pa.DataType]] = {}
    for each in parquet_files:
        for name, kind in each.types.items():
            key = name.casefold()
            if key not in keys or pa.types.is_null(kind) or pa.types.is_floating(kind):
                continue  # a column of floats holds only NaN, or is refused when it is read
            meant, path, theirs = first.setdefault(key, (_meaning(kind), each.path, kind))
            if meant != _meaning(kind):
                raise CatalogError(
                    f"Expected column {name!r} to have one type in all files. Received: {theirs} in {path}, {kind} in "
                    f"{each.path}"
                )


def _meaning(kind: pa.DataType) -> str:
    kind = kind if _is_uuid(kind) else _plain(kind)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return "text or bytes"
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return "whole number"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_list(kind):
        return f"list of {_meaning(kind.value_type)}"
    return str(kind)
