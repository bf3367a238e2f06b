"""Write a labelled catalog as a training set: train, validation and test folders of flat Parquet.

    .venv/bin/spark-submit jobs/make_training_set.py --catalog DIR --output DIR

The catalog is what jobs/import_catalog.py writes with --images bytes: product_id, title, description, image, category.
Categories with fewer products than --min-products are left out and named: a model cannot learn, nor anyone measure,
what has one example. The split of the others does not depend on it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fashion_udf import cli
from fashion_udf.errors import CatalogError, InputError
from fashion_udf.spark import session
from training.data import split
from training.data.dataset import TRAINING_SET

ROW_GROUPS = 16  # per split; petastorm needs at least as many as it has readers, eight for each is comfortable


def with_split(catalog: DataFrame) -> DataFrame:
    """Add the column `split`; only ids, titles, labels and photo digests are collected, never photos."""
    keys = catalog.select("product_id", "title", "category", F.sha2("image", 256).alias("image_sha256")).toPandas()
    if keys["product_id"].duplicated().any():
        raise CatalogError("Expected every product_id once. Received: " + _repeated(keys["product_id"].tolist()))
    keys["split"] = split.assign(keys)
    assigned = catalog.sparkSession.createDataFrame(keys[["product_id", "split"]])
    return catalog.join(F.broadcast(assigned), on="product_id", how="inner")


def as_training_set(catalog: DataFrame) -> DataFrame:
    """Select the columns of `TRAINING_SET`: an absent text or photo becomes an empty one."""
    from fashion_udf.model.tokenizer import product_text

    text = F.udf(product_text, "string")
    return catalog.select(
        "product_id",
        text("title", "description").alias("text"),
        F.coalesce("image", F.lit(bytearray())).alias("image"),
        "category",
    ).select(*TRAINING_SET.names)


def write(catalog: DataFrame, output: Path, min_products: int = 1) -> tuple[dict[str, int], dict[str, int]]:
    """Write one folder for each split; rows without a category, or with a rare one, are left out.

    Returns:
        Rows by split, and rows left out by rare category.

    Raises:
        InputError: `output` exists.
        CatalogError: a column is missing, or an id repeats.
    """
    if missing := sorted({"product_id", "title", "description", "image", "category"} - set(catalog.columns)):
        raise CatalogError(
            "Expected a labelled catalog, as jobs/import_catalog.py writes with --images bytes. "
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the three folders and print their sizes; `arguments` defaults to the command line's."""
    parser = argparse.ArgumentParser(
        prog="make_training_set.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--catalog", required=True, type=Path, help="labelled catalog Parquet with photo bytes")
    parser.add_argument("--output", required=True, type=Path, help="a new directory")
    parser.add_argument("--min-products", type=int, default=1, metavar="N", help="leave out rarer categories (1: none)")
    options = parser.parse_args(arguments)
    if not options.catalog.exists():
        raise InputError(f"Expected --catalog to exist. Received: {options.catalog}")
    spark = session.start("make_training_set")
    counts, rare = write(spark.read.parquet(str(options.catalog)), options.output, options.min_products)
    for name, count in counts.items():
        sys.stdout.write(f"{name}: {count} rows\n")
    for name, count in rare.items():
        sys.stdout.write(f"left out: {name}, {count} rows\n")


if __name__ == "__main__":
    cli.run(main)
