"""A labelled catalog to a training set: one folder of flat Parquet for each split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf.errors import CatalogError, InputError
from fashion_udf.model.tokenizer import product_text

from . import split
from .dataset import TRAINING_SET

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROW_GROUPS = 16  # per split; petastorm needs at least one for each reader, eight for each is comfortable


def with_split(catalog: DataFrame) -> DataFrame:
    """Add the column `split`; only ids, titles, labels and photo digests are collected, never photos."""
    from pyspark.sql import functions as F

    keys = catalog.select("product_id", "title", "category", F.sha2("image", 256).alias("image_sha256")).toPandas()
    if keys["product_id"].duplicated().any():
        raise CatalogError("Expected every product_id once. Received: " + _repeated(keys["product_id"].tolist()))
    keys["split"] = split.assign(keys)
    assigned = catalog.sparkSession.createDataFrame(keys[["product_id", "split"]])
    return catalog.join(F.broadcast(assigned), on="product_id", how="inner")


def as_training_set(catalog: DataFrame) -> DataFrame:
    """Select the columns of `TRAINING_SET`: an absent text or photo becomes an empty one."""
    from pyspark.sql import functions as F

    # Spark 4.1 and later take the annotations of a function for those of a pandas UDF.
    text = F.udf(lambda title, description: product_text(title, description), "string")
    return catalog.select(
        "product_id",
        text("title", "description").alias("text"),
        F.coalesce("image", F.lit(bytearray())).alias("image"),
        "category",
        F.lit("{}").alias("attributes"),
    ).select(*TRAINING_SET.names)


def write(catalog: DataFrame, output: Path, min_products: int = 1) -> tuple[dict[str, int], dict[str, int]]:
    """Write one folder for each split; rows without a category, or with a rare one, are left out.

    Returns:
        Rows by split, and rows left out by rare category.

    Raises:
        InputError: `output` exists.
        CatalogError: a column is missing, or an id repeats.
    """
    from pyspark.sql import functions as F

    if missing := sorted({"product_id", "title", "description", "image", "category"} - set(catalog.columns)):
        raise CatalogError(
            "Expected a labelled catalog, as `fashion-udf import` writes with --images bytes. "
            f"Received: one without {', '.join(missing)}"
        )
    if output.exists():
        raise InputError(f"Expected a new directory for --output. Received: {output}, which exists")
    rows = with_split(catalog.where(F.col("category").isNotNull())).cache()
    by_category = {row["category"]: row["count"] for row in rows.groupBy("category").count().collect()}
    rare = {name: count for name, count in sorted(by_category.items()) if count < min_products}
    kept = rows.where(~F.col("category").isin(list(rare)))
    counts = {}
    for name in split.SPLITS:
        part = as_training_set(kept.where(F.col("split") == F.lit(name))).repartition(ROW_GROUPS, "product_id")
        part.sortWithinPartitions("product_id").write.parquet(str(output / name))
        counts[name] = part.count()
    rows.unpersist()
    return counts, rare


def _repeated(ids: list[str]) -> str:
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    return ", ".join(repeated[:10])
