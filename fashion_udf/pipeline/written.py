"""Write data frames to a place below the output, and describe the written files by Spark tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from fashion_udf.pipeline import created_files
from fashion_udf.schema import to_spark
from fashion_udf.spark import session
from fashion_udf.table import data_files
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location
from fashion_udf.table.store import is_local, scheme

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Hadoop's local file system writes a hidden `.crc` file beside each file, which confuses tools that list a folder.
#: Parquet has its own checksums, so that a wrong byte is detected when it is read.
_OF_LOCAL_FILES = {
    "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "fs.file.impl.disable.cache": "true",
}
#: Schemes of stores that cannot rename.
OBJECT_STORES = ("s3", "s3a")
_CHECKED = {"parquet.page.write-checksum.enabled": "true"}
#: Options of a reader of the tables that `write` wrote.
READ = {"parquet.page.verify-checksum.enabled": "true"}


def write(rows: DataFrame, place: Location) -> None:
    """Write rows as Parquet directly into a new directory. No file is renamed afterwards."""
    if scheme(place.output) in OBJECT_STORES:
        created_files.create(rows, place, {})
    else:
        _by_spark(rows, place, {})


def write_described(
    rows: DataFrame, place: Location, options: Mapping[str, str] = MappingProxyType({})
) -> tuple[DataFile, ...]:
    """Write rows as `write` does, and return the facts of the files, which Spark tasks compute.

    Raises:
        SnapshotError: a written file is no Parquet file.
    """
    if scheme(place.output) in OBJECT_STORES:
        return created_files.create(rows, place, options)
    _by_spark(rows, place, options)
    names = sorted(data_files.listed(place))
    spark = rows.sparkSession
    if is_local(place.output):
        tasks = max(1, min(len(names), 4 * spark.sparkContext.defaultParallelism))
        found = spark.sparkContext.parallelize(names, tasks).map(partial(_described, place)).collect()
    else:
        found = _by_hadoop(spark, place, names)
    return tuple(sorted(found, key=lambda file: file.name))


def write_made(
    rows: DataFrame,
    make: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    schema: pa.Schema,
    place: Location,
) -> tuple[DataFile, ...]:
    """Write what Python workers make of rows, and return the facts of the files.

    Where workers reach the store they write, and the rows do not go back to Spark. A partition must fit into memory.

    Args:
        rows: what the workers take.
        make: batches -> batches with the columns of `schema`.
        schema: of the files.
        place: a new directory.
    """
    if is_local(place.output) or scheme(place.output) in OBJECT_STORES:
        return created_files.create(rows, place, {}, (make, schema))
    return write_described(rows.mapInArrow(make, to_spark(schema)), place)


def _by_spark(rows: DataFrame, place: Location, options: Mapping[str, str]) -> None:
    local = _OF_LOCAL_FILES if is_local(place.output) else {}
    rows.write.options(**_CHECKED, **local, **options).parquet(place.uri)


def _described(place: Location, name: str) -> DataFile:
    with place.store.open(f"{place.key}/{name}") as file:
        return data_files.describe(name, file)


def _by_hadoop(spark: SparkSession, place: Location, names: list[str]) -> list[DataFile]:
    """Describe files that only Java can open: Spark reads each file and passes it to a Python worker."""
    # Several copies of a file are in memory at a time, so only few tasks run.
    tasks = max(1, min(len(names), spark.sparkContext.defaultParallelism // 4))
    uris = [f"{place.uri}/{name}" for name in names]
    content = spark.read.format("binaryFile").load(uris).select("path", "content").coalesce(tasks)
    schema = "name string, size long, rows long, sha256 string"
    with session.settings(spark, {"spark.sql.execution.arrow.maxRecordsPerBatch": 1}):
        found = content.mapInArrow(_described_content, schema).collect()
    return [DataFile(*row) for row in found]


def _described_content(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for path, content in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True):
            facts = data_files.describe(path.rpartition("/")[2], pa.BufferReader(content.as_buffer()))
            yield pa.RecordBatch.from_pylist([asdict(facts)])
