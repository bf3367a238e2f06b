"""Connected components of a graph, in Spark, without collecting nodes on the driver.

The algorithm is that of Kiveris et al., "Connected Components in MapReduce and Beyond" (2014). Each round links every
node's larger neighbours, and then its smaller ones, to the smallest of them. The number of rounds grows with the
logarithm of the longest chain: a chain of a million nodes takes about twenty rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_ROUNDS = 50
#: Hint for joins of large tables. Spark broadcasts a table with few compressed bytes through the driver. Millions of
#: ids compress that well, but would need all memory of a small driver.
JOIN = "merge"


def smallest_of_component(edges: DataFrame) -> DataFrame:
    """Return, for each node with an edge to another one, the smallest node of its component.

    Args:
        edges: two string columns, the nodes of each edge in any order.

    Returns:
        Columns `node` and `smallest`, without the nodes that are themselves the smallest.

    Raises:
        CatalogError: the components were not found in `MAX_ROUNDS` rounds.
    """
    from pyspark.sql import functions as F

    one, other = (F.col(name) for name in edges.columns)
    links = edges.select(F.greatest(one, other).alias("node"), F.least(one, other).alias("to")).where("node != to")
    links = links.distinct().localCheckpoint()  # otherwise each round would compute all earlier rounds again
    before = _digest(links)
    for _ in range(MAX_ROUNDS):
        links = _link_smaller(_link_larger(links)).localCheckpoint()
        after = _digest(links)
        if after == before:
            return links.withColumnRenamed("to", "smallest")
        before = after
    raise CatalogError(
        f"Expected to find the groups of products that share a photo or a title in {MAX_ROUNDS} rounds. Received: "
        f"links that still change ({before[0]}). Look for a title or a photo that many products share, such as a "
        "placeholder, and remove it"
    )


def _link_larger(links: DataFrame) -> DataFrame:
    """Link the larger neighbours of every node to its smallest neighbour, or to the node if that is smaller."""
    from pyspark.sql import functions as F

    both = links.unionByName(links.select(F.col("to").alias("node"), F.col("node").alias("to")))
    smallest = both.groupBy("node").agg(F.min("to").alias("smallest"))
    smallest = smallest.select("node", F.least("node", "smallest").alias("smallest"))
    larger = both.join(smallest.hint(JOIN), "node").where("to > node")
    return larger.select(F.col("to").alias("node"), F.col("smallest").alias("to")).distinct()


def _link_smaller(links: DataFrame) -> DataFrame:
    """Link every node and its smaller neighbours to the smallest of these."""
    from pyspark.sql import functions as F

    smallest = links.groupBy("node").agg(F.min("to").alias("smallest"))
    neighbours = (
        links.join(smallest.hint(JOIN), "node").where("to != smallest").select(F.col("to").alias("node"), "smallest")
    )
    return smallest.unionByName(neighbours).distinct().withColumnRenamed("smallest", "to")


def _digest(links: DataFrame) -> tuple[int, int]:
    """Return the number of links and a sum of their hashes, to detect whether a round changed anything."""
    from pyspark.sql import functions as F

    # A decimal, because a sum of 64-bit hashes overflows.
    row = links.agg(F.count("*"), F.sum(F.xxhash64("node", "to").cast("decimal(20, 0)"))).first()
    assert row is not None  # an aggregate without groups has one row
    return int(row[0]), int(row[1] or 0)
