"""The search of a catalog in Spark: a shuffle sends candidates and queries to each task, which searches them.

A worker has one task in memory: at most about `exact_limit` candidates and a block of queries, as float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashion_udf.schema import to_spark
from fashion_udf.similar import lists, products
from fashion_udf.similar.planning import Pool
from fashion_udf.similar.search import search
from fashion_udf.similar.selection import Rules

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import Column, DataFrame

#: Maximum of partitions of the shuffle.
PARTITIONS = 400
#: Pairs of a partition: some seconds of a core. Small tasks share a partition, because each partition costs 0.2 s.
PARTITION_PAIRS = 500_000_000
#: Columns of a task's rows, in addition to `products.COLUMNS`.
_TASK = ("task", "candidate", "query")


def searched(rows: DataFrame, pools: list[Pool], rules: Rules, most: int, done: Accumulator[int]) -> DataFrame:
    """Return the lists of all products with `query`: the columns of `FOUND`, one row for each with a candidate.

    Args:
        rows: rows of `comparable.products`, with `query` (whether the product's list is wanted), `parts` (a map from
            pools with lists to the product's own part) and `probes` (a map from such pools to the parts in which the
            product's neighbours are searched).
        pools: the result of `planning.numbered`.
        rules: the rules of the lists.
        most: maximum of entries in a list.
        done: counts the searches of a query in a part, when their task ends.
    """
    tasks = sum(pool.tasks for pool in pools)
    if not tasks:
        return rows.sparkSession.createDataFrame([], to_spark(lists.FOUND))
    sent = _candidates(rows, pools).unionByName(_queries(rows, pools))
    pairs = sum(pool.candidates * pool.queries * pool.probes // pool.parts for pool in pools)
    cores = rows.sparkSession.sparkContext.defaultParallelism
    partitions = min(tasks, PARTITIONS, max(cores, pairs // PARTITION_PAIRS))
    divided = sent.repartition(partitions, "task").sortWithinPartitions("task")
    found = divided.mapInArrow(_searching(rules, most, done), to_spark(lists.FOUND))
    if all(pool.parts == 1 for pool in pools):
        return found
    return _united(found, rules, most)


def _united(found: DataFrame, rules: Rules, most: int) -> DataFrame:
    """Merge the lists of each query that was searched in several parts."""
    from pyspark.sql import functions as F

    united = found.groupBy("product_id").agg(
        F.flatten(F.collect_list("entries")).alias("entries"), F.every("exhausted").alias("exhausted")
    )
    return united.select("product_id", "entries", "exhausted").mapInArrow(
        _merging(rules.at_most, most), to_spark(lists.FOUND)
    )


def counts(rows: DataFrame) -> tuple[dict[str, int], dict[str, int]]:
    """Return the numbers of candidates and of queries by pool.

    Args:
        rows: rows of `comparable.products`, with `query`.
    """
    from pyspark.sql import functions as F

    held = rows.select(F.explode("held").alias("pool"), F.lit(1).alias("candidate"), F.lit(0).alias("query"))
    wanted = rows.where(F.col("query") & F.col("searched").isNotNull()).select(
        F.col("searched").alias("pool"), F.lit(0).alias("candidate"), F.lit(1).alias("query")
    )
    sums = held.unionByName(wanted).groupBy("pool").agg(F.sum("candidate"), F.sum("query")).collect()
    return {row[0]: row[1] for row in sums if row[1]}, {row[0]: row[2] for row in sums if row[2]}


def _candidates(rows: DataFrame, pools: list[Pool]) -> DataFrame:
    """Return a row for each task with a product as candidate. The row may also be a query of the task."""
    from pyspark.sql import functions as F

    each = rows.withColumn("pool", F.explode("held")).join(F.broadcast(_frame(rows, pools)), on="pool")
    at_random = F.pmod(F.xxhash64("product_id"), F.col("p_parts"))
    part = F.when(F.col("p_lists"), F.col("parts")[F.col("pool")]).otherwise(at_random)
    each = each.withColumn("block", F.explode(F.sequence(F.lit(0), F.col("p_blocks") - F.lit(1))))
    task = F.col("p_first") + part * F.col("p_blocks") + F.col("block")
    own = _queried_whole() & (F.col("pool") == F.col("searched")) & (F.col("block") == _own_block())
    return each.select(
        task.cast("long").alias("task"),
        F.lit(True).alias("candidate"),
        F.coalesce(own, F.lit(False)).alias("query"),
        *products.COLUMNS,
    )


def _queries(rows: DataFrame, pools: list[Pool]) -> DataFrame:
    """Return a row for each task with a product as query, but not as candidate."""
    from pyspark.sql import functions as F

    plan = _frame(rows, pools).withColumnRenamed("pool", "searched")
    each = rows.where(F.col("query")).join(F.broadcast(plan), on="searched")
    each = each.where(~(_queried_whole() & F.array_contains("held", F.col("searched"))))
    whole = F.sequence(F.lit(0), F.col("p_parts") - F.lit(1))
    probed = F.when(F.col("p_lists"), F.col("probes")[F.col("searched")]).otherwise(whole)
    each = each.withColumn("part", F.explode(probed))
    task = F.col("p_first") + F.col("part") * F.col("p_blocks") + _own_block()
    return each.select(
        task.cast("long").alias("task"), F.lit(False).alias("candidate"), F.lit(True).alias("query"), *products.COLUMNS
    )


def _queried_whole() -> Column:
    """Return whether a product's list comes from one part. Then the row of the candidate is also the query."""
    from pyspark.sql import functions as F

    return F.col("query") & (F.col("p_parts") == F.lit(1))


def _own_block() -> Column:
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64("product_id", F.lit("block")), F.col("p_blocks"))


def _frame(rows: DataFrame, pools: list[Pool]) -> DataFrame:
    columns = "pool string, p_parts int, p_blocks int, p_first int, p_lists boolean"
    values = [(pool.name, pool.parts, pool.blocks, pool.first, pool.lists) for pool in pools]
    return rows.sparkSession.createDataFrame(values, columns)


def _searching(
    rules: Rules, most: int, done: Accumulator[int]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in by_task(batches):
            rows = products.Rows(table)
            wanted = [np.flatnonzero(table[name].to_numpy()) for name in ("candidate", "query")]
            del table
            candidates, queries = (rows.block(rows.in_order(each)) for each in wanted)
            del rows
            if len(queries):
                yield from lists.found(queries, candidates, search(queries, candidates, rules, most)).to_batches()
                done.add(len(queries))

    return run


def _merging(at_most: tuple[int, ...], most: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from lists.merged(pa.Table.from_batches([batch]), at_most, most).to_batches()

    return run


def by_task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Return the rows of each task, from batches in the order of their tasks."""
    parts: list[pa.Table] = []
    present = None
    for batch in batches:
        tasks = batch["task"]
        for task in pc.unique(tasks).to_pylist():
            if task != present and parts:
                yield _taken(parts)
            present = task
            parts.append(pa.Table.from_batches([batch.filter(pc.equal(tasks, task))]))
    if parts:
        yield _taken(parts)


def _taken(parts: list[pa.Table]) -> pa.Table:
    """Return the parts as one table and empty the list, so that a generator does not keep them in memory."""
    whole = pa.concat_tables(parts)
    parts.clear()
    return whole
