"""The review queue: published rows that wait for a person, ranked by the worth of a decision.

    worth = uncertainty * (1 + log2(rows alike))     one decision informs about all rows alike
          + 1 if photo and text disagree + share of near rows with another category + decrease of the confidence

Rows are near if their embeddings have the same signs on a few fixed random directions, which needs one pass and no
index. Rows are alike if they are near, wait too, and have the same category.

runs/<run_id>/queue.parquet   columns of `QUEUE`, at most `MOST` rows, the highest worth first
runs/<run_id>/queue.json      settings to read their photos
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from fashion_udf.catalog.columns import Catalog
from fashion_udf.config import JobConfig
from fashion_udf.model import bundle as bundles
from fashion_udf.pages import alone
from fashion_udf.pages.products import PRODUCTS
from fashion_udf.pipeline import written
from fashion_udf.schema import EMBEDDING_SIZE, TAGS, CategorySource, Decision, to_spark
from fashion_udf.table import paths
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: Maximum of rows in the queue.
MOST = 100_000
#: Approximate rows in a group of near rows, and maximum of directions.
_GROUP_ROWS, _MOST_DIRECTIONS = 24, 14

#: A row that waits.
QUEUE = pa.schema(
    [
        *(TAGS.field(name) for name in ("product_id", "category", "category_source", "model_category", "confidence")),
        *(TAGS.field(name) for name in ("decision", "status", "modality", "novelty", "top_categories")),
        *(TAGS.field(name) for name in ("fingerprint", "model_version")),
        pa.field("fell", pa.float32()),  # decrease of the confidence since the previous model; null if it did not fall
        pa.field("alike", pa.int64()),  # number of near waiting rows of the same category, with this row
        pa.field("neighbours_disagree", pa.float32()),  # share of near sure rows in another category, or null
        pa.field("image_alone", pa.string()),  # family by the photo alone; null if it was not scored separately
        pa.field("image_confidence", pa.float32()),
        pa.field("text_alone", pa.string()),  # the same of the text
        pa.field("text_confidence", pa.float32()),
        pa.field("suspect", pa.string()),  # photo or text: which one is probably wrong; null if they agree
        pa.field("worth", pa.float64()),
        *(PRODUCTS.field(name) for name in PRODUCTS.names[1:]),
    ]
)


def waiting(table: DataFrame, rows: int, previous: DataFrame | None) -> DataFrame:
    """Return the rows of a table that wait for a person, at most `MOST`, the highest worth first.

    Args:
        table: the rows of a run, with the columns of `TAGS`.
        rows: number of these rows.
        previous: the rows published before, if another model scored them.
    """
    return _ranked(_waiting(table, rows, previous)).limit(MOST).localCheckpoint()


def write(
    spark: SparkSession, config: JobConfig, run_id: str, catalog: Catalog, waiting: DataFrame, products: DataFrame
) -> DataFrame:
    """Write the queue of a run's table, and return the written rows.

    Args:
        spark: the session.
        config: the config of the run.
        run_id: id of the run. The queue is written to its reports.
        catalog: the catalog of the run.
        waiting: the result of `waiting`.
        products: texts and places of photos, with the columns of `PRODUCTS`.
    """
    from pyspark.sql import functions as F

    facts = alone.with_facts(spark, config, catalog, waiting, run_id)
    # A product that left the catalog has no text. Of a repeated id, one row is used.
    texts = products.join(F.broadcast(waiting.select("product_id")), on="product_id", how="left_semi")
    rows = facts.join(texts.dropDuplicates(["product_id"]), on="product_id", how="left").withColumn("worth", worth())
    # Sorted last, because disagreeing photos and texts come first. One file, because the review reads all of it.
    target = paths.run_dir(config.output.path, run_id) / "queue.parquet"
    ordered = rows.select(*QUEUE.names).repartition(1).sortWithinPartitions(rows["worth"].desc(), "product_id")
    written.write(ordered, target)
    reading = {
        "image_roots": list(config.input.image_roots),
        "image_hosts": list(config.input.image_hosts),
        "private_image_hosts": config.input.private_image_hosts,
        "s3": config.s3.model_dump(),  # without credentials
        "photos": asdict(catalog.photos) if catalog.photos else None,
        "labels": sorted(bundles.read(config.bundle).labels),
    }
    open_store(config.output.path).replace(f"runs/{run_id}/queue.json", json.dumps(reading).encode())
    return spark.read.schema(to_spark(QUEUE)).parquet(target.uri)


def worth() -> Column:
    """Return the worth of a decision on a row. The highest worth comes first."""
    from pyspark.sql import functions as F

    uncertain = F.lit(1.0) - F.coalesce("confidence", F.lit(0.0))
    disagree = F.when(F.col("suspect").isNotNull(), 1.0).otherwise(0.0)
    others = F.coalesce("neighbours_disagree", F.lit(0.0)) + F.coalesce("fell", F.lit(0.0))
    return uncertain * (F.lit(1.0) + F.log2(F.greatest("alike", F.lit(1)))) + disagree + others


def _waiting(table: DataFrame, count: int, previous: DataFrame | None) -> DataFrame:
    """Return the waiting rows, with the facts that depend on the other rows of the table."""
    from pyspark.sql import functions as F

    by_model = F.col("category_source") != F.lit(CategorySource.OVERRIDE.value)
    waits = (F.col("decision") != F.lit(Decision.AUTO.value)) & by_model
    named = [name for name in QUEUE.names if name in TAGS.names]
    near = table.select(*named, _group(count)(F.col("embedding")).alias("near"), waits.alias("waits"))
    groups = near.groupBy("near", "category").agg(
        F.sum(F.col("waits").cast("long")).alias("alike"), F.sum((~F.col("waits")).cast("long")).alias("sure")
    )
    totals = groups.groupBy("near").agg(F.sum("sure").alias("all_sure"))
    share = F.lit(1.0) - F.col("sure") / F.when(F.col("all_sure") > F.lit(0), F.col("all_sure"))
    told = groups.join(totals, on="near", how="inner").select(
        "near", "category", "alike", share.cast("float").alias("neighbours_disagree")
    )
    rows = near.where("waits").join(F.broadcast(told), on=["near", "category"], how="left").drop("near", "waits")
    if previous is None:
        return rows.withColumn("fell", F.lit(None).cast("float"))
    before = previous.select(
        "product_id", F.col("confidence").alias("before"), F.col("model_version").alias("version_before")
    )
    fell = F.when(
        (F.col("model_version") != F.col("version_before")) & (F.col("before") > F.col("confidence")),
        F.col("before") - F.col("confidence"),
    )
    joined = rows.join(before, on="product_id", how="left").withColumn("fell", fell.cast("float"))
    return joined.drop("before", "version_before")


def _ranked(waiting: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    ranked = waiting.withColumn("suspect", F.lit(None).cast("string")).withColumn("worth", worth())
    return ranked.orderBy(F.col("worth").desc(), "product_id").drop("suspect")


def _group(rows: int) -> Callable[[Column], Column]:
    """Return a UDF from an embedding to its group of near rows, for a number of rows; null without an embedding."""
    from pyspark.sql.pandas.functions import pandas_udf

    count = min(_MOST_DIRECTIONS, (max(rows, 1) // _GROUP_ROWS).bit_length())
    directions = np.random.default_rng(0).normal(size=(EMBEDDING_SIZE, count)).astype(np.float32)
    powers = 2 ** np.arange(count)

    def group(embeddings: pd.Series) -> pd.Series:
        there = embeddings.notna().to_numpy()
        groups = pd.Series(pd.NA, index=embeddings.index, dtype="Int64")
        if there.any():
            vectors = np.stack(embeddings[there].tolist())
            groups[there] = (vectors @ directions > 0) @ powers
        return groups

    return pandas_udf(group, "long")  # type: ignore[call-overload, no-any-return]
