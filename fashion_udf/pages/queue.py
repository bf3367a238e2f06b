"""The review queue: published rows that wait for a person, ranked by what a decision on them is worth.

    worth = uncertainty * (1 + log2(rows alike))     one decision tells something about all rows alike
          + 1 if photo and text disagree + share of near rows with another category + how much the confidence fell

Rows are near if their embeddings have the same signs on a few fixed random directions: one pass, no index. Rows are
alike if they are near, wait as well, and have the same category.

runs/<run_id>/queue.parquet   columns of `QUEUE`, at most `MOST` rows, the worthiest first
runs/<run_id>/queue.json      what reading their photos needs
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

#: Rows of the queue.
MOST = 100_000
#: Rows of a group of near rows, about, and most directions whose signs make groups.
_GROUP_ROWS, _MOST_DIRECTIONS = 24, 14

#: A row that waits.
QUEUE = pa.schema(
    [
        *(TAGS.field(name) for name in ("product_id", "category", "category_source", "model_category", "confidence")),
        *(TAGS.field(name) for name in ("decision", "status", "modality", "novelty", "top_categories")),
        *(TAGS.field(name) for name in ("fingerprint", "model_version")),
        pa.field("fell", pa.float32()),  # how much the confidence fell since the model before; null: it did not
        pa.field("alike", pa.int64()),  # rows that wait, near this one and of the same category, itself included
        pa.field(
            "neighbours_disagree", pa.float32()
        ),  # share of near sure rows of another category; null: none is near
        pa.field("image_alone", pa.string()),  # family that the photo alone shows; null if it was not scored alone
        pa.field("image_confidence", pa.float32()),
        pa.field("text_alone", pa.string()),  # the same of the text
        pa.field("text_confidence", pa.float32()),
        pa.field("suspect", pa.string()),  # photo or text: which of them is likely wrong; null where they agree
        pa.field("worth", pa.float64()),
        *(PRODUCTS.field(name) for name in PRODUCTS.names[1:]),
    ]
)


def waiting(table: DataFrame, rows: int, previous: DataFrame | None) -> DataFrame:
    """Return the rows of a table that wait for a person, at most `MOST`, the worthiest first.

    Args:
        table: the rows of a run, with the columns of `TAGS`.
        rows: how many these are.
        previous: the rows published before, if another model had scored them.
    """
    return _ranked(_waiting(table, rows, previous)).limit(MOST).localCheckpoint()


def write(
    spark: SparkSession, config: JobConfig, run_id: str, catalog: Catalog, waiting: DataFrame, products: DataFrame
) -> DataFrame:
    """Write the queue of a table that a run has made, and return it as it is written.

    Args:
        spark: the session.
        config: of the run.
        run_id: of the run; its reports get the queue.
        catalog: of the run.
        waiting: as `waiting` returns it.
        products: what pages show, with the columns of `PRODUCTS`.
    """
    from pyspark.sql import functions as F

    facts = alone.with_facts(spark, config, catalog, waiting, run_id)
    # A product that the catalog lacks by now stays without text; of an id that is there twice one is taken.
    texts = products.join(F.broadcast(waiting.select("product_id")), on="product_id", how="left_semi")
    rows = facts.join(texts.dropDuplicates(["product_id"]), on="product_id", how="left").withColumn("worth", worth())
    # Sorted at last: photo and text that disagree come first. One file: the review reads it whole.
    target = paths.run_dir(config.output.path, run_id) / "queue.parquet"
    ordered = rows.select(*QUEUE.names).repartition(1).sortWithinPartitions(rows["worth"].desc(), "product_id")
    written.write(ordered, target)
    reading = {
        "image_roots": list(config.input.image_roots),
        "image_hosts": list(config.input.image_hosts),
        "private_image_hosts": config.input.private_image_hosts,
        "s3": config.s3.model_dump(),  # it holds no credentials
        "photos": asdict(catalog.photos) if catalog.photos else None,
        "labels": sorted(bundles.read(config.bundle).labels),
    }
    open_store(config.output.path).replace(f"runs/{run_id}/queue.json", json.dumps(reading).encode())
    return spark.read.schema(to_spark(QUEUE)).parquet(target.uri)


def worth() -> Column:
    """What a decision on a row is worth; rows that a person should see first have more."""
    from pyspark.sql import functions as F

    uncertain = F.lit(1.0) - F.coalesce("confidence", F.lit(0.0))
    disagree = F.when(F.col("suspect").isNotNull(), 1.0).otherwise(0.0)
    others = F.coalesce("neighbours_disagree", F.lit(0.0)) + F.coalesce("fell", F.lit(0.0))
    return uncertain * (F.lit(1.0) + F.log2(F.greatest("alike", F.lit(1)))) + disagree + others


def _waiting(table: DataFrame, count: int, previous: DataFrame | None) -> DataFrame:
    """Return the rows that wait, with what the other rows of the table say of them."""
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
    """A UDF from an embedding to the number of its group of near rows, of so many; null for a row without one."""
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
