"""Lift: products that are bought together more often than by chance come first in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fashion_udf.similar import user_tables
from fashion_udf.similar.settings import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Columns of the table: two products, and the number of orders with both.
COLUMNS = ("product_id", "other_id", "orders")


def ordered(spark: SparkSession, found: DataFrame, pairs: Table) -> DataFrame:
    """Return the lists with entries of a lift above 1 first, in the order of the lift. The others keep their order.

    Lift is the number of orders with both products, divided by the number that is expected by chance: the product of
    the orders with each, divided by all orders. Both directions of a pair count together.

    Args:
        spark: the session.
        found: the columns of `lists.FOUND`.
        pairs: the table of orders.

    Raises:
        InputError: the table cannot be read, or lacks a column.
    """
    from pyspark.sql import functions as F

    table = user_tables.read(spark, "pairs.path", pairs, COLUMNS, COLUMNS[:2])
    table = table.select("product_id", "other_id", F.col("orders").cast("double").alias("orders"))
    turned = table.select(F.col("other_id").alias("product_id"), F.col("product_id").alias("other_id"), "orders")
    both = table.unionByName(turned).groupBy("product_id", "other_id").agg(F.sum("orders").alias("orders"))
    each = both.groupBy("product_id").agg(F.sum("orders").alias("own"))
    total = F.lit((each.agg(F.sum("own")).first() or [0.0])[0] or 1.0)
    other = each.select(F.col("product_id").alias("other_id"), F.col("own").alias("others"))
    lifts = both.join(each, on="product_id").join(other, on="other_id")
    lift = F.col("orders") * total / (F.col("own") * F.col("others"))
    lifts = lifts.select("product_id", F.col("other_id").alias("similar_id"), lift.alias("lift")).where("lift > 1")
    by_product = lifts.groupBy("product_id").agg(
        F.map_from_entries(F.collect_list(F.struct("similar_id", "lift"))).alias("lifts")
    )
    joined = found.join(by_product, on="product_id", how="left")
    placed = F.transform(
        "entries",
        lambda entry, place: F.struct(
            -F.coalesce(F.col("lifts")[entry["similar_id"]], F.lit(0.0)).alias("lift"),
            place.alias("place"),
            entry.alias("entry"),
        ),
    )
    entries = F.transform(F.array_sort(placed), lambda each: each["entry"])
    return joined.select("product_id", F.coalesce(entries, "entries").alias("entries"), "exhausted")
