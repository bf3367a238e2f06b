"""Read JSON lines as a data frame: numbers become strings as written, and keys that differ in case are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fashion_udf.catalog import files
from fashion_udf.catalog.compression import compression
from fashion_udf.catalog.csv_dialect import encoding_by_mark
from fashion_udf.catalog.csv_files import quoted
from fashion_udf.catalog.files import Found
from fashion_udf.catalog.parquet_files import SPARK_FILE
from fashion_udf.errors import CatalogError
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

EXAMPLES = 10  # maximum of bad lines named in an error
_CORRUPT = "_corrupt_record"
#: Compressions that Spark decompresses, and the file ending of each.
_UNPACKED = {"gzip": ".gz", "bzip2": ".bz2"}
#: A photo in base64 may be longer than the 20,000,000 characters that Spark takes by default.
_OPTIONS = {"columnNameOfCorruptRecord": _CORRUPT, "maxStringLen": str(2**31 - 1)}


def look(spark: SparkSession, found: Found) -> StructType:
    """Return the columns of all files. Every value that is no list and no object is a string.

    Raises:
        CatalogError: Spark cannot read the compression or encoding of a file, or no line is an object.
    """
    from pyspark.sql.types import StructType

    if found.is_local:
        for path in found.read:
            _require_readable(path)
    # `Title` in some lines and `title` in others must be two columns here.
    with session.settings(spark, {"spark.sql.caseSensitive": "true"}):
        reader = spark.read.option("primitivesAsString", True).options(**_OPTIONS)
        inferred = reader.json([files.for_spark(path) for path in found.read]).schema
    fields = [field for field in inferred.fields if field.name != _CORRUPT]
    if not fields:
        raise CatalogError(
            f"Expected a JSON object on every line. Received: {found.read[0]}, which has none. Write one object on "
            f"each line, or {files.SET_FORMAT}"
        )
    return StructType(fields)


def read(spark: SparkSession, found: Found, schema: StructType, keys: Sequence[str]) -> DataFrame:
    """Read some columns, named by their keys.

    Raises:
        CatalogError: a line is no object. The message names the first ten.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType, StructField, StructType

    paths = [files.for_spark(path) for path in found.read]
    fields = [field for field in schema.fields if field.name.casefold() in keys]
    with_corrupt = StructType([*fields, StructField(_CORRUPT, StringType())])
    checked = spark.read.options(**_OPTIONS).schema(with_corrupt).json(paths)
    # Both queries keep a real column: Spark refuses a query of the corrupt records alone.
    real = quoted(fields[0].name)
    counts = checked.agg(F.count(_CORRUPT).alias("bad"), F.count(real)).first()
    assert counts is not None  # an aggregate without groups has one row
    if counts["bad"]:
        examples = checked.where(F.col(_CORRUPT).isNotNull()).select(_CORRUPT, real).limit(EXAMPLES).collect()
        lines = "; ".join(repr(row[_CORRUPT][:80]) for row in examples)
        raise CatalogError(f"Expected a JSON object on every line. Received: {counts['bad']} bad lines: {lines}")
    frame = spark.read.option("mode", "FAILFAST").options(**_OPTIONS).schema(StructType(fields)).json(paths)
    named = [F.col(quoted(field.name)).alias(field.name.casefold()) for field in fields]
    return frame.select(*named, F.col("_metadata.file_path").alias(SPARK_FILE))


def _require_readable(path: str) -> None:
    with open(path, "rb") as file:
        head = file.read(256)
    kind = compression(head)
    if kind is not None and not path.endswith(_UNPACKED.get(kind, "\0")):
        known = " and ".join(f"{name} (with the ending {ending})" for name, ending in _UNPACKED.items())
        raise CatalogError(f"Expected JSON lines, plain or compressed with {known}. Received: {path}, which is {kind}")
    if kind is None and (encoding := encoding_by_mark(head)) not in (None, "utf-8-sig"):
        raise CatalogError(f"Expected JSON lines in UTF-8. Received: {path}, which is {encoding}. Save it as UTF-8")
