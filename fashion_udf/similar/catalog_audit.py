"""Audit a catalog by the neighbours of each product: labels that look wrong, products listed twice, and outliers.

Neighbours may have any category. The findings are ranked, and a person decides.

    mislabelled.parquet   product_id, category, suggested, votes, own_votes, score
    duplicates.parquet    product_id, other_id, score, same_photo, detail, colour
    outliers.parquet      product_id, category, nearest
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from fashion_udf import files
from fashion_udf.config import JobConfig
from fashion_udf.errors import InputError
from fashion_udf.similar import comparable, duplicates, join, large_pools, planning, search, user_tables, writing
from fashion_udf.similar.selection import Rules
from fashion_udf.similar.settings import RecommendConfig, Table
from fashion_udf.spark import session
from fashion_udf.table import snapshot
from fashion_udf.table.tags_table import TagsTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Neighbours that vote on a product's category.
VOTERS = 10


@dataclass(frozen=True)
class Findings:
    """The directory of the tables, and the number of rows of each."""

    directory: Path
    rows: Mapping[str, int]


def audit(
    spark: SparkSession,
    config: RecommendConfig,
    job: JobConfig,
    target: Path,
    labels: Table | None = None,
    near: float = duplicates.NEAR,
) -> Findings:
    """Write the findings about the current tags to a new directory.

    Args:
        spark: the session.
        config: `output`, `columns` and `item_group`: pairs of one item group are no duplicates.
        job: whose catalog has the photos.
        target: the directory.
        labels: a table of product_id and category, the shop's own; by default the categories of the tags.
        near: least score of two products whose photos are compared.

    Raises:
        InputError: the directory exists, or there is no tags table.
        CatalogError: a table cannot be read.
    """
    search.require_faiss()
    if target.exists():
        raise InputError(f"Expected a new directory for the findings. Received: {target}, which is there")
    with session.uncached_after():
        pairs = _neighbours(spark, config, _products(spark, config, labels))
        files.make_directory(target)
        for name, frame in (
            ("mislabelled", mislabelled(pairs)),
            ("duplicates", duplicates.confirmed(spark, job, duplicates.candidates(pairs, near))),
            ("outliers", outliers(pairs)),
        ):
            pq.write_table(large_pools.arrow(frame), target / f"{name}.parquet")
    counts = {path.stem: pq.read_metadata(path).num_rows for path in sorted(target.glob("*.parquet"))}
    return Findings(target, counts)


def _neighbours(spark: SparkSession, config: RecommendConfig, products: DataFrame) -> DataFrame:
    """Search the neighbours of all products, and return the columns of `_pairs`."""
    rules, planned = Rules(VOTERS, same_photo=True), planning.plan(*join.counts(products), config.exact_limit)
    divided, products = large_pools.divide(products, planned, rules, config.exact_limit, config.recall)
    pools = planning.numbered(divided)
    with writing.followed(spark, pools) as done:
        # Three queries read the neighbours. A directory of this machine would be another one on each executor.
        found = session.cached(join.searched(products, pools, rules, VOTERS, done))
        found.count()
    return _pairs(found, products)


def _products(spark: SparkSession, config: RecommendConfig, labels: Table | None) -> DataFrame:
    """Return the products with the labels to check, all in one pool."""
    from pyspark.sql import functions as F

    tags = snapshot.newest(config.output.path)
    table = TagsTable(config.output.path).to_spark(spark, tags.number)
    rows = comparable.compared(table, tags.model_version).rows
    if labels is not None:
        table = user_tables.read(spark, "--labels", labels, ("product_id", "category"), ("product_id", "category"))
        user_tables.require_once(table, "product_id", "--labels")
        rows = rows.drop("category").join(table.where("category <> ''"), on="product_id")
    settings = config.model_copy(update={"scope": "anywhere", "filters": (), "at_most": {}})
    # All are in one pool, whatever their category.
    judged = [row["category"] for row in rows.select("category").distinct().collect()]
    return comparable.products(spark, settings, rows, judged, {}).withColumn("query", F.lit(True))


def mislabelled(pairs: DataFrame) -> DataFrame:
    """Return the products whose neighbours mostly have another category, the most suspicious first.

    A product with the same photo has no vote, because a product that is listed twice has the same wrong label.
    """
    from pyspark.sql import functions as F

    voters = pairs.where(~F.col("same_photo"))
    votes = voters.groupBy("product_id", "category", "other_category").agg(
        F.count("*").alias("votes"), F.avg("score").alias("score")
    )
    own = F.sum(F.when(F.col("category") == F.col("other_category"), F.col("votes")).otherwise(0))
    best = F.max(F.struct("votes", "score", F.col("other_category").alias("suggested")))
    judged = votes.groupBy("product_id", "category").agg(own.alias("own_votes"), best.alias("best"))
    wrong = judged.where((F.col("best.suggested") != F.col("category")) & (F.col("best.votes") > F.lit(VOTERS // 2)))
    ranked = wrong.orderBy((F.col("best.votes") - F.col("own_votes")).desc(), F.col("best.score").desc(), "product_id")
    return ranked.select("product_id", "category", "best.suggested", "best.votes", "own_votes", "best.score")


def outliers(pairs: DataFrame, most: int = 1_000) -> DataFrame:
    """Return the products whose nearest product is farthest, the farthest first."""
    from pyspark.sql import functions as F

    nearest = pairs.groupBy("product_id", "category").agg(F.max("score").alias("nearest"))
    return nearest.orderBy("nearest", "product_id").limit(most)


def _pairs(found: DataFrame, products: DataFrame) -> DataFrame:
    """Return a row for each product and neighbour: ids, score, both categories, and whether the photo is the same."""
    from pyspark.sql import functions as F

    own = products.select("product_id", "category", "photo")
    other = products.select(
        F.col("product_id").alias("similar_id"),
        F.col("category").alias("other_category"),
        F.col("photo").alias("other_photo"),
    )
    each = found.select("product_id", F.explode("entries").alias("entry")).select(
        "product_id", "entry.similar_id", "entry.score"
    )
    joined = each.join(own, on="product_id").join(other, on="similar_id")
    return joined.withColumn("same_photo", F.coalesce(F.col("photo") == F.col("other_photo"), F.lit(False)))
