"""Parquet, CSV, JSON lines and tables as data frames, every column of a text source as it is written.

A record that cannot be parsed is refused; it never becomes nulls and is never skipped. In Spark's own CSV reader, a
quote that is never closed swallows the rest of the file, so `csv_records` reads CSV.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd

from fashion_udf.catalog import csv_records
from fashion_udf.errors import CatalogError
from fashion_udf.spark import memory, session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

EXAMPLES = 10  # bad records named in an error
#: Our own columns beside the columns of the file; no catalog has these names.
_FILE, _LINE, _PROBLEM = _OWN = ("_csv_file", "_csv_line", "_csv_problem")
_CORRUPT = "_corrupt_record"


@contextmanager
def readable(key: str, form: str, path: str) -> Iterator[None]:
    """Turn Spark's error about an unreadable source into a `CatalogError` of one line.

    Args:
        key: of the configuration; it names the source.
        form: a key of `READERS`.
        path: path or table name of the source.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if memory.reason(error):
            raise
        # A damaged Parquet footer is a plain Java error; the first line of the Python error names only the call.
        cause = str(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)
        raise CatalogError(
            f"Expected {key} to be a readable {form} source. Received: {path} ({cause.strip().splitlines()[0][:200]})"
        ) from error


def no_rows(spark: SparkSession, schema: StructType) -> DataFrame:
    """Return a data frame without rows: Spark's optimizer removes it together with the joins on it.

    A data frame made of an empty Python list would be an RDD: its stages start Python workers for nothing.
    """
    from pyspark.sql import functions as F

    nothing = spark.range(1).where(F.lit(False))
    return nothing.select(*(F.lit(None).cast(field.dataType).alias(field.name) for field in schema))


def _read_parquet(spark: SparkSession, path: str) -> DataFrame:
    return spark.read.parquet(path)


def _read_table(spark: SparkSession, name: str) -> DataFrame:
    return spark.table(name)


def _read_csv(spark: SparkSession, path: str) -> DataFrame:
    """Read CSV files with a header (UTF-8, RFC 4180); an empty field is null."""
    from pyspark.sql import functions as F

    files = spark.read.format("binaryFile").load(path)
    # Local files are read as streams; from other stores the bytes come through Spark, at most 2 GB a file.
    remote = urlsplit(path).scheme not in ("", "file")
    files = files.select("path", "content" if remote else F.lit(None).cast("binary").alias("content"))
    columns = _common_header(files, path)
    schema = ", ".join(f"{quoted(name)} string" for name in columns)
    rows = files.mapInPandas(_csv_rows(columns), f"{schema}, {_FILE} string, {_LINE} long, {_PROBLEM} string")
    # A file is one task, since a field may span lines. The next steps need all cores and must not parse again. A CSV
    # catalog holds no photos, so the cache is small.
    rows = session.cached(rows.repartition(4 * spark.sparkContext.defaultParallelism))
    bad = rows.where(F.col(_PROBLEM).isNotNull())
    count = bad.count()
    if count:
        examples = bad.orderBy(_FILE, _LINE).select(_FILE, _LINE, _PROBLEM).limit(EXAMPLES).collect()
        named = "; ".join(f"{row[_FILE]} line {row[_LINE]}: {row[_PROBLEM]}" for row in examples)
        rows.unpersist()
        raise CatalogError(f"Expected every CSV record to have the header's fields. Received: {count} others: {named}")
    return rows.drop(*_OWN)


def _common_header(files: DataFrame, path: str) -> list[str]:
    def headers(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            first = [next(_records(*file), None) for file in zip(frame["path"], frame["content"], strict=True)]
            yield pd.DataFrame(
                {"path": frame["path"], "header": [list(record.fields) if record else [] for record in first]}
            )

    rows = files.mapInPandas(headers, "path string, header array<string>").collect()
    by_file = [(row["path"], list(row["header"])) for row in rows]
    if not by_file:
        raise CatalogError(f"Expected CSV files with a header. Received: none in {path}")
    first = min(by_file)[1]
    for name, header in by_file:
        if len(set(header)) != len(header) or not header:
            raise CatalogError(f"Expected different column names in the header of {name}. Received: {header}")
        if sorted(header) != sorted(first):
            raise CatalogError(f"Expected the same columns in every file of {path}. Received: {first} and {header}")
    return first


def _csv_rows(columns: list[str]) -> Callable[[Iterable[pd.DataFrame]], Iterator[pd.DataFrame]]:
    names = [*columns, *_OWN]

    def batches(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            for path, content in zip(frame["path"], frame["content"], strict=True):
                records = _records(path, content)
                header = next(records).fields
                order = [header.index(name) for name in columns]
                while chunk := [_csv_row(record, order, path) for record in islice(records, 4096)]:
                    yield pd.DataFrame(chunk, columns=names)

    return batches


def _csv_row(record: csv_records.Record, order: list[int], path: str) -> tuple[Any, ...]:
    if record.problem is None and len(record.fields) == len(order):
        return (*(record.fields[index] or None for index in order), path, record.line, None)
    problem = record.problem or f"{len(record.fields)} fields instead of {len(order)}"
    return (*(None for _ in order), path, record.line, problem)


def _records(path: str, content: bytes | None) -> Iterator[csv_records.Record]:
    with open(path.removeprefix("file:"), "rb") if content is None else io.BytesIO(content) as raw:
        yield from csv_records.decoded(gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw)


def _read_json(spark: SparkSession, path: str) -> DataFrame:
    """Read JSON lines; numbers are strings of their digits as written: 1e5 stays "1e5", 2^63 loses nothing."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType, StructField, StructType

    inferred = spark.read.option("primitivesAsString", True).option("columnNameOfCorruptRecord", _CORRUPT).json(path)
    fields = [field for field in inferred.schema.fields if field.name != _CORRUPT]
    if not fields:
        raise CatalogError(f"Expected a JSON object on every line. Received: {path}, which has none")
    with_corrupt = StructType([*fields, StructField(_CORRUPT, StringType())])
    checked = spark.read.option("columnNameOfCorruptRecord", _CORRUPT).schema(with_corrupt).json(path)
    # A real column stays in both queries: Spark refuses a query of the corrupt records alone.
    real = quoted(fields[0].name)
    counts = checked.agg(F.count(_CORRUPT).alias("bad"), F.count(real)).first()
    assert counts is not None  # an aggregate without groups has one row
    if counts["bad"]:
        examples = checked.where(F.col(_CORRUPT).isNotNull()).select(_CORRUPT, real).limit(EXAMPLES).collect()
        named = "; ".join(repr(row[_CORRUPT][:80]) for row in examples)
        raise CatalogError(f"Expected a JSON object on every line. Received: {counts['bad']} other lines: {named}")
    return spark.read.option("mode", "FAILFAST").schema(StructType(fields)).json(path)


def quoted(name: str) -> str:
    """Return a column's name quoted for Spark SQL, whatever its characters."""
    return f"`{name.replace('`', '``')}`"


#: Format -> its reader: (session, path or table name) -> all columns of the source.
READERS: dict[str, Callable[[SparkSession, str], DataFrame]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "json": _read_json,
    "table": _read_table,
}
