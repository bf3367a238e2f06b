"""Open any source: first the names of its columns, then the used columns as data frames.

Names of columns are compared without case. A frame has them in lower case; this is the key of a column.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from fashion_udf.catalog import csv_files, delta_tables, files, json_files, parquet_files
from fashion_udf.catalog.csv_files import quoted
from fashion_udf.catalog.files import Found
from fashion_udf.catalog.parquet_files import SPARK_FILE
from fashion_udf.config import Csv
from fashion_udf.errors import CatalogError
from fashion_udf.spark import memory

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Source:
    """A source whose columns are known.

    Attributes:
        names: names of the columns, by file. A table, or all files of JSON lines, are one entry.
        read: a function of keys. It returns frames with the columns of these keys, each with the name of one file.
        found: the files; None for a table.
        notes: facts about how the files are read, for people.
    """

    names: Mapping[str, Sequence[str]]
    read: Callable[[Sequence[str]], list[tuple[str, DataFrame]]]
    found: Found | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> dict[str, str]:
        """Names of all columns as the source writes them, by key."""
        return {name.casefold(): name for names in reversed([*self.names.values()]) for name in reversed(names)}

    def lacking(self, key: str) -> list[str]:
        """Return the files without this column."""
        return [file for file, names in self.names.items() if key not in map(str.casefold, names)]

    def require_one(self, keys: Sequence[str]) -> None:
        """Refuse columns of a file, or keys of JSON lines, that differ only in case: one of them would be lost.

        Raises:
            CatalogError: there are such columns. The message names them and the file.
        """
        for file, names in self.names.items():
            for key in keys:
                if len(same := sorted(name for name in names if name.casefold() == key)) > 1:
                    raise CatalogError(
                        f"Expected column names that differ by more than case. Received: {' and '.join(same)} in {file}"
                        ". Rename one"
                    )


@contextmanager
def readable(key: str, form: str, path: str) -> Iterator[None]:
    """Replace Spark's error about an unreadable source by a `CatalogError` of one line.

    Args:
        key: key of the configuration that the error names.
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
        raise files.unreadable(key, form, path, cause(error)) from error


@contextmanager
def damage_named(key: str, path: str) -> Iterator[None]:
    """Replace an error at reading a file of the open source by a `CatalogError` that names the file.

    Args:
        key: key of the configuration that the error names.
        path: path of the source. Errors of other files, such as staged ones, are not replaced.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        named = _FAILED_FILE.search(str(error))
        root = files.local_path(path) or path
        if named is None or memory.reason(error) or not (files.local_path(named[1]) or named[1]).startswith(root):
            raise
        raise CatalogError(
            f"Expected every file of {key} to be readable. Received: {named[1]} ({cause(error)})"
        ) from error


_FAILED_FILE = re.compile(r"while reading file (.+?)\.\s")


def cause(error: Exception) -> str:
    """Return the text of a Spark error and of its last Java cause: the first line often only names a call."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    first = str(java if java is not None else error).strip().splitlines()
    said = [first[0][:300]] if first else [type(error).__name__]
    while java is not None:
        deeper = java.getCause()
        if deeper is None:
            last = " ".join(str(java.toString()).split())[:300]
            if last not in said[0]:
                said.append(last)
        java = deeper
    return ": ".join(said)


def no_rows(spark: SparkSession, schema: StructType) -> DataFrame:
    """Return a data frame without rows. Spark's optimizer removes joins with it.

    A data frame from an empty Python list would be an RDD, whose stages start Python workers.
    """
    from pyspark.sql import functions as F

    nothing = spark.range(1).where(F.lit(False))
    return nothing.select(*(F.lit(None).cast(field.dataType).alias(field.name) for field in schema))


def open_source(
    spark: SparkSession, key: str, path: str, form: str, csv: Csv | None = None, ignore: Sequence[str] = ()
) -> Source:
    """Open a source. Errors name `key`, its key of the configuration.

    Raises:
        CatalogError: the source is missing, a file cannot be read, or columns of a file differ only in case.
    """
    with readable(key, form, path):
        if form == "table":
            return _table(spark, path)
        if form == "delta":
            found, version = delta_tables.find(key, path)
            return dataclasses.replace(_parquet(spark, found, Csv()), notes=(version,))
        found = files.find(spark, key, path, form, ignore)
        return READERS[form](spark, found, csv or Csv())


def _table(spark: SparkSession, name: str) -> Source:
    from pyspark.sql import functions as F

    frame = spark.table(name)

    def read(keys: Sequence[str]) -> list[tuple[str, DataFrame]]:
        used = [F.col(quoted(column)).alias(column.casefold()) for column in frame.columns if column.casefold() in keys]
        return [(name, frame.select(*used, _file_of(frame).alias(SPARK_FILE)))]

    return Source({name: frame.columns}, read)


def _file_of(frame: DataFrame) -> Column:
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F

    name = "_metadata.file_path"
    try:
        frame.selectExpr(name)  # if a `Column` fails, pyspark writes an error of 10 kB to standard error
    except AnalysisException:  # a view
        return F.lit(None).cast("string")
    return F.col(name)


def _parquet(spark: SparkSession, found: Found, _: Csv) -> Source:
    looked = parquet_files.look(spark, found)
    names = {each.path: [*each.types, *each.partitions] for each in looked}
    return Source(names, lambda keys: parquet_files.read(spark, found, looked, keys), found)


def _csv(spark: SparkSession, found: Found, settings: Csv) -> Source:
    from pyspark.sql import functions as F

    looked = csv_files.look(spark, found, settings)

    def read(keys: Sequence[str]) -> list[tuple[str, DataFrame]]:
        frame = csv_files.read(spark, found, looked, settings, keys)
        return [(found.root, frame.withColumn(SPARK_FILE, F.lit(None).cast("string")))]

    names = {each.path: each.header for each in looked}
    return Source(names, read, found, tuple(csv_files.describe(looked)))


def _json(spark: SparkSession, found: Found, _: Csv) -> Source:
    schema = json_files.look(spark, found)
    return Source(
        {found.root: schema.names}, lambda keys: [(found.root, json_files.read(spark, found, schema, keys))], found
    )


#: Format -> how its files are opened.
READERS: dict[str, Callable[[SparkSession, Found, Csv], Source]] = {"parquet": _parquet, "csv": _csv, "json": _json}
