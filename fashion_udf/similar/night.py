"""A night on top of the published lists, in Spark: find the changes, and update the lists.

The changes are collected on the driver and sent to every worker. If they are too many, all lists are searched instead.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from fashion_udf.pipeline import written
from fashion_udf.schema import to_spark
from fashion_udf.similar import join, large_pools, lists, products, repair
from fashion_udf.similar.outcome import Differences
from fashion_udf.similar.repair import Changes
from fashion_udf.similar.selection import Rules
from fashion_udf.table import paths
from fashion_udf.table.commit import Commit
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

#: Maximum share and number of changed products: 50 MB of embeddings on the driver.
MOST_SHARE, MOST = 0.1, 50_000
#: Number of changes that is always allowed, for small catalogs.
FEW = 1_000


@dataclass(frozen=True, eq=False)
class Night:
    """Products with their published lists, and the changes since.

    Attributes:
        rows: rows of `comparable.products`, with `changed`, `entries` and `exhausted` for `repair.repaired`.
        changes: the changes.
        counts: counts of the products.
    """

    rows: DataFrame
    changes: Changes
    counts: Differences


def changes(spark: SparkSession, present: DataFrame, output: str, last: Commit) -> Night | None:
    """Compare the products with those of the published lists. Return None if too many changed.

    Args:
        spark: the session.
        present: the result of `comparable.products`.
        output: root of the output.
        last: the commit of the published lists.
    """
    from pyspark.sql import functions as F

    place = paths.snapshot_dir(output, last.snapshot_id, paths.SIMILAR)
    old = spark.read.schema(to_spark(lists.SIMILAR)).parquet(place.uri)
    before = old.select("product_id", F.col("fingerprint").alias("before"))
    after = present.select("product_id", F.col("fingerprint").alias("after"), F.lit(True).alias("present"))
    kind = F.when(F.col("before").isNull(), "new").when(F.col("after").isNull(), "removed").otherwise(F.lit("changed"))
    both = before.join(after, on="product_id", how="full_outer")
    differing = both.where(~F.col("before").eqNullSafe(F.col("after"))).select("product_id", kind.alias("kind"))
    found = differing.limit(MOST + 1).toPandas()
    if len(found) > max(FEW, MOST_SHARE * last.rows) or len(found) > MOST:
        logger.info("%d or more products changed: all lists are searched", len(found))
        return None
    ids, kinds = pa.array(found["product_id"], pa.string()), pa.array(found["kind"], pa.string())
    numbers = Differences(**{"new": 0, "changed": 0, "removed": 0, **Counter(kinds.to_pylist())})
    gone = ids.filter(pc.not_equal(kinds, "new"))
    entering = ids.filter(pc.not_equal(kinds, "removed"))
    named = F.broadcast(spark.createDataFrame([(name,) for name in entering.to_pylist()], "product_id string"))
    candidates = large_pools.arrow(present.join(named, on="product_id").select(*products.COLUMNS, "held"))
    rows = present.join(_with_entries(old), on="product_id", how="left").withColumn(
        "changed", ~F.col("fingerprint").eqNullSafe(F.col("before"))
    )
    return Night(rows, Changes(gone, products.by_pool(candidates)), numbers)


def repaired(spark: SparkSession, found: Night, rules: Rules, most: int, target: Location) -> DataFrame:
    """Update the lists in a new directory, and return the columns of `repair.REPAIRED`."""
    schema = to_spark(repair.REPAIRED)
    rows = found.rows.select(*products.COLUMNS, *repair.COLUMNS)
    written.write(rows.mapInArrow(_repairing(found.changes, rules, most), schema), target)
    return spark.read.schema(schema).parquet(target.uri)


def to_search(present: DataFrame, lists_of_night: DataFrame) -> DataFrame:
    """Return the products with `query`: whether their list must be searched again."""
    from pyspark.sql import functions as F

    wanted = lists_of_night.where("search").select("product_id", F.lit(True).alias("wanted"))
    joined = present.join(wanted, on="product_id", how="left")
    query = F.coalesce("wanted", F.lit(False)) & F.col("searched").isNotNull()
    return joined.withColumn("query", query).drop("wanted")


def searched(present: DataFrame, rules: Rules, most: int) -> DataFrame:
    """Search the few lists that must be searched again, and return the columns of `lists.FOUND`.

    Args:
        present: the result of `to_search`.
        rules: the rules of the lists.
        most: maximum of entries in a list.
    """
    from pyspark.sql import functions as F

    wanted = present.where("query").select(*products.COLUMNS, F.array("searched").alias("held"))
    return join.searched_few(present, products.by_pool(large_pools.arrow(wanted)), rules, most)


def _with_entries(old: DataFrame) -> DataFrame:
    """Return the lists with their spare entries, in the form of a search."""
    from pyspark.sql import functions as F

    no_caps = F.array().cast("array<string>")
    entries = F.transform(F.concat("similar", "spare"), lambda each: each.withField("caps", no_caps))
    return old.select("product_id", F.col("fingerprint").alias("before"), entries.alias("entries"), "exhausted")


def _repairing(
    changed: Changes, rules: Rules, most: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from repair.repaired(pa.Table.from_batches([batch]), changed, rules, most).to_batches()

    return run
