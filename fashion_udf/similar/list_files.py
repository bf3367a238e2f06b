"""The files of published lists. One Python worker reads a file whole: to find the lists to search, to update, to count.

A list has 15 entries with three columns. Reading and writing these as rows of Spark costs more than the search. So a
worker gets a file as bytes, from any store, and writes the updated file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fashion_udf.pipeline import written
from fashion_udf.similar import lists, repair
from fashion_udf.similar.repair import Night
from fashion_udf.similar.selection import Rules
from fashion_udf.spark import session
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Make = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]

#: Each file is a task of its own.
_ONE_EACH = {"spark.sql.files.maxPartitionBytes": 1}
#: Bits for each product in the table that counts which are recommended: about one in two hundred collides.
_BITS = 8
_COUNTED = pa.schema([("full", pa.int64()), ("empty", pa.int64()), ("rows", pa.int64()), ("marks", pa.binary())])


def to_search(
    spark: SparkSession, place: Location, names: Sequence[str], gone: pa.Array, entering: pa.Table, rules: Rules
) -> pa.Array:
    """Return the ids that `repair.to_search` names in all files."""

    def make(_: int, table: pa.Table) -> pa.Table:
        return pa.table({"product_id": repair.to_search(table, gone, entering, rules)})

    columns = ["product_id", "similar", "spare", "exhausted"]
    with _each(spark, place, names) as files:
        found = files.mapInArrow(_making(names, make, columns), "product_id string").toPandas()
    return pa.array(found["product_id"], pa.string())


def repaired(
    spark: SparkSession, place: Location, names: Sequence[str], night: Night, rules: Rules, most: int, target: Location
) -> tuple[DataFile, ...]:
    """Write each file anew, brought up to date, in a new directory, and return the files."""

    def make(number: int, table: pa.Table) -> pa.Table:
        return repair.repaired(table, number, night, rules, most)

    with _each(spark, place, names) as files:
        return written.write_made(files, _making(names, make), lists.SIMILAR, target)


def counted(
    spark: SparkSession, place: Location, names: Sequence[str], k: int, rows: int
) -> tuple[dict[str, int], int]:
    """Count the lists by what they hold, and the products that some list holds, to within a percent."""
    size = 1 << max(13, (rows * _BITS - 1).bit_length())

    def make(_: int, table: pa.Table) -> pa.Table:
        each = lists.whole(table["similar"], lists.SIMILAR.field("similar").type)
        sizes = pc.list_value_length(each).to_numpy()
        marks = np.zeros(size, np.bool_)
        ids = pc.unique(each.flatten().field("similar_id")).to_numpy(zero_copy_only=False)
        marks[pd.util.hash_array(ids, categorize=False) & np.uint64(size - 1)] = True
        values = [int((sizes == k).sum()), int((sizes == 0).sum()), len(sizes), np.packbits(marks).tobytes()]
        return pa.table(
            [pa.array([value], kind) for value, kind in zip(values, _COUNTED.types, strict=True)], _COUNTED.names
        )

    with _each(spark, place, names) as files:
        parts = files.mapInArrow(
            _making(names, make, ["similar"]), "full long, empty long, rows long, marks binary"
        ).collect()
    full, empty, total = (sum(row[name] for row in parts) for name in ("full", "empty", "rows"))
    marks = np.zeros(size // 8, np.uint8)
    for row in parts:
        marks |= np.frombuffer(row["marks"], np.uint8)
    free = size - int(np.unpackbits(marks).sum())
    recommended = round(-size * np.log(max(1, free) / size))  # linear counting
    kinds = {"full": full, "short": total - full - empty, "empty": empty}
    return {name: count for name, count in kinds.items() if count}, recommended


@contextmanager
def _each(spark: SparkSession, place: Location, names: Sequence[str]) -> Iterator[DataFrame]:
    with session.settings(spark, _ONE_EACH):
        files = spark.read.format("binaryFile").load([f"{place.uri}/{name}" for name in names])
        yield files.select("path", "content")


def _making(
    names: Sequence[str], make: Callable[[int, pa.Table], pa.Table], columns: Sequence[str] = lists.SIMILAR.names
) -> Make:
    numbers = {name: number for number, name in enumerate(names)}
    schema = pa.schema([lists.SIMILAR.field(name) for name in columns])

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path, content in zip(batch["path"].to_pylist(), batch["content"], strict=True):
                file = pa.BufferReader(content.as_buffer())
                table = pq.read_table(file, columns=list(columns), page_checksum_verification=True)
                yield from make(numbers[path.rpartition("/")[2]], table.select(schema.names).cast(schema)).to_batches()

    return run
