"""Texts and places of photos of a run's products for pages, read from the catalog once.

runs/<run_id>/products.parquet   columns of `PRODUCTS`, one row for each product of the catalog, in its order
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from fashion_udf.catalog.columns import Catalog
from fashion_udf.photos.parquet_photos import FILE, ROW
from fashion_udf.pipeline import written
from fashion_udf.schema import to_spark
from fashion_udf.table import paths

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

NAME = "products.parquet"
#: Maximum of characters of a title, and of a description.
TITLE, DESCRIPTION = 300, 4_000

PRODUCTS = pa.schema(
    [
        pa.field("product_id", pa.string()),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),  # null for rows that do not wait for a person
        pa.field("image_uri", pa.string()),
        pa.field(FILE, pa.string()),  # the catalog's file with the row, and the row's position in it
        pa.field(ROW, pa.int64()),
    ]
)


def write(catalog: Catalog, waiting: DataFrame, output: str, run_id: str) -> DataFrame:
    """Write the products of a catalog, and return the written rows.

    Args:
        catalog: the open catalog.
        waiting: `product_id` of the waiting rows, which are few enough for a broadcast.
        output: root of the output.
        run_id: id of the run.
    """
    from pyspark.sql import functions as F

    source, types = catalog.rows, {field.name: field.dataType for field in to_spark(PRODUCTS).fields}

    def known(name: str) -> Column:
        column = F.col(name) if name in source.columns else F.lit(None)
        return column.cast(types[name]).alias(name)

    ids = waiting.select("product_id", F.lit(True).alias("waits"))
    rows = source.join(F.broadcast(ids), on="product_id", how="left").select(
        "product_id",
        F.substring("title", 1, TITLE).alias("title"),
        F.when(F.col("waits"), F.substring("description", 1, DESCRIPTION)).alias("description"),
        *(known(name) for name in ("image_uri", FILE, ROW)),
    )
    spark = source.sparkSession
    # Readers open each file, so there is at most one file for each core.
    rows = rows.coalesce(spark.sparkContext.defaultParallelism)
    written.write(rows, paths.run_dir(output, run_id) / NAME)
    return read(spark, output, run_id)


def read(spark: SparkSession, output: str, run_id: str) -> DataFrame:
    """Return the rows that `write` has written for a run."""
    return spark.read.schema(to_spark(PRODUCTS)).parquet((paths.run_dir(output, run_id) / NAME).uri)
