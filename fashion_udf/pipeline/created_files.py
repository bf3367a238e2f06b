"""Write Parquet files to an object store from Python workers, each in one create-only request.

Spark's own committers rename files. An object store renames by copying, and a failed copy loses a file. Here a task
builds its file in memory and creates it under the name of its partition. If a second attempt of the task finds that
name, it uses the existing file. So each partition has one file, and no file is ever overwritten.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.s3 import S3Settings
from fashion_udf.table import data_files, s3_store
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Bytes of a row group in memory, if the options do not set them.
_ROW_GROUP = 64_000_000
_NO_DICTIONARY = "parquet.enable.dictionary#"


Make = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]


def create(
    rows: DataFrame, place: Location, options: Mapping[str, str], made: tuple[Make, pa.Schema] | None = None
) -> tuple[DataFile, ...]:
    """Write rows as Parquet into a directory, one file for each partition with rows, and return the files' facts.

    Args:
        rows: the rows to write.
        place: a directory that no other process writes to.
        options: options of Spark's writer: the size of a row group, and columns without a dictionary.
        made: a function that the workers apply to the rows before they write, and its schema. None writes the rows.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    # Spark before 4.1 has no such argument and uses UTC, the session's time zone.
    zone: dict[str, Any] = {"timezone": "UTC"} if "timezone" in inspect.signature(to_arrow_schema).parameters else {}
    make, schema = made or (_as_they_are, to_arrow_schema(rows.schema, **zone))
    schema = _without_nullability(schema)
    write = partial(_write_part, place, s3_store.settings(), schema, dict(options), make)
    written = rows.mapInArrow(write, "name string, size long, rows long, sha256 string").collect()
    found = [DataFile(*row) for row in written]
    if not found:  # readers need one file, for the columns
        found = [_create(place, 0, schema.empty_table(), schema, options)]
    return tuple(sorted(found, key=lambda file: file.name))


def _write_part(
    place: Location,
    settings: S3Settings,
    schema: pa.Schema,
    options: Mapping[str, str],
    make: Make,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    from pyspark import TaskContext

    s3_store.use(settings)  # a worker may run on another machine than the driver
    context: Any = TaskContext.get()
    groups = _row_groups(make(batches), int(options.get("parquet.block.size", _ROW_GROUP)))
    if (first := next(groups, None)) is not None:
        facts = _create(place, context.partitionId(), first, schema, options, groups)
        yield pa.RecordBatch.from_pylist([asdict(facts)])


def _as_they_are(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    return batches


def _row_groups(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """Yield tables of about `size` bytes."""
    held, count = list[pa.RecordBatch](), 0
    for batch in batches:
        if len(batch):
            held.append(batch)
            count += batch.nbytes
        if count >= size:
            yield pa.Table.from_batches(held)
            held, count = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _create(
    place: Location,
    partition: int,
    first: pa.Table,
    schema: pa.Schema,
    options: Mapping[str, str],
    others: Iterable[pa.Table] = (),
) -> DataFile:
    # The file name has the directory's name, so that files of different snapshots cannot be confused.
    name, sink = f"part-{partition:05d}-{place.name.removesuffix('.parquet')}.zstd.parquet", io.BytesIO()
    plain = {key.removeprefix(_NO_DICTIONARY) for key in options if key.startswith(_NO_DICTIONARY)}
    dictionary = [path for field in schema for path in _leaves(field.name, field.type) if path not in plain]
    with pq.ParquetWriter(
        sink, schema, compression="zstd", use_dictionary=dictionary, write_page_checksum=True
    ) as writer:
        for table in (first, *others):
            writer.write_table(table.cast(schema), row_group_size=max(1, len(table)))
    data, key = sink.getvalue(), f"{place.key}/{name}"
    if place.store.create(key, data):
        return data_files.describe(name, io.BytesIO(data))
    with place.store.open(key) as file:  # an earlier attempt of the same task created it
        return data_files.describe(name, file)


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    """Yield the Parquet columns of an Arrow column."""
    if pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path


def _without_nullability(schema: pa.Schema) -> pa.Schema:
    """Make every column nullable, as Spark does."""
    return pa.schema([field.with_nullable(True) for field in schema])
