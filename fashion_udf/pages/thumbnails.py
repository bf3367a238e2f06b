"""Titles and small photos of a few products of a run's table, read by few tasks in a limited time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from fashion_udf.catalog import files
from fashion_udf.catalog.columns import Catalog
from fashion_udf.config import Input, JobConfig
from fashion_udf.pages.run_page import Product
from fashion_udf.photos import parquet_photos, small_photos
from fashion_udf.photos.parquet_photos import FILE, ROW, PhotoColumn
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.pipeline import photo_places

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

SIZE = 96  # pixels
#: Maximum of products with photos, number of tasks, and seconds after which a task starts no further photo.
MOST, TASKS, SECONDS = 400, 4, 15.0
#: Maximum of files that Spark reads completely for their photos, and of their bytes together.
MOST_FILES, MOST_BYTES = 16, 1_000_000_000


def read(
    spark: SparkSession, config: JobConfig, catalog: Catalog, products: DataFrame, product_ids: Sequence[str]
) -> dict[str, Product]:
    """Return titles and photos by id, in the order of the ids, without products that the catalog lacks.

    Args:
        spark: the session.
        config: the config of the run.
        catalog: the catalog of the run.
        products: rows with the columns of `products.PRODUCTS`.
        product_ids: the products. Only the first `MOST` are read.
    """
    from pyspark.sql import functions as F

    wanted = list(dict.fromkeys(product_ids))[:MOST]
    if not wanted:
        return {}
    known = {row["product_id"]: row for row in products.where(F.col("product_id").isin(wanted)).collect()}
    rows = [known[name] for name in wanted if name in known]
    if catalog.photos is not None or "image_uri" in catalog.rows.columns:
        # Rows of a file go to one task, which reads each row group once.
        ordered = sorted(rows, key=lambda row: (row[FILE] or "", row[ROW] or 0))
        chosen = spark.createDataFrame(spark.sparkContext.parallelize(ordered, TASKS), products.schema)
        chosen = chosen.withColumnRenamed("image_uri", "photo")
    else:
        chosen = _read_by_spark(config.input, catalog, rows)
    jpegs = {row["product_id"]: row["jpeg"] for row in _jpegs(chosen, config, catalog.photos)}
    return {row["product_id"]: Product(row["title"], jpegs.get(row["product_id"])) for row in rows}


def _read_by_spark(source: Input, catalog: Catalog, rows: Sequence[Row]) -> DataFrame:
    """Return `product_id` and `photo` of rows whose photos are in a few files, which Spark reads completely."""
    from pyspark.sql import functions as F

    spark = catalog.rows.sparkSession
    java: Any = spark._jvm
    new_path, new_uri = java.org.apache.hadoop.fs.Path, java.java.net.URI
    named = list(dict.fromkeys(row[FILE] for row in rows))
    if None not in named:
        chosen = F.col(FILE).isin(_few_and_small(spark, {name: new_path(new_uri(name)) for name in named}))
    elif source.format == "csv":  # its rows have no file, so all files are read, or none
        found = files.find(spark, "input.path", source.path, source.format, source.ignore).read
        chosen = F.lit(_few_and_small(spark, {name: new_path(name) for name in found}) == [*found])
    else:
        chosen = F.lit(False)  # a view, or a table without files
    wanted = F.col("product_id").isin([row["product_id"] for row in rows])
    photo = F.col("image") if catalog.photo_column else F.lit(None).cast("binary")
    return catalog.rows.where(chosen & wanted).select("product_id", photo.alias("photo")).coalesce(TASKS)


def _few_and_small(spark: SparkSession, paths: Mapping[str, Any]) -> list[str]:
    """Return the names of the first files, up to a number and a size."""
    configuration, left, taken = files.hadoop_configuration(spark), MOST_BYTES, list[str]()
    for name, path in [*paths.items()][:MOST_FILES]:
        left -= path.getFileSystem(configuration).getFileStatus(path).getLen()
        if left < 0:
            break
        taken.append(name)
    return taken


def _jpegs(chosen: DataFrame, config: JobConfig, column: PhotoColumn | None) -> list[Row]:
    roots, seconds, remote = config.input.image_roots, SECONDS, photo_places.remote(config, TASKS)

    def jpegs(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        decoder, end = SandboxedDecoder(small_photos.SECONDS), time.monotonic() + seconds
        try:
            for frame in frames:
                photos = _photos(frame, column)
                for product_id in frame["product_id"]:
                    if time.monotonic() >= end:
                        return
                    small = small_photos.jpeg(next(photos), SIZE, decoder, roots, remote)
                    yield pd.DataFrame({"product_id": [product_id], "jpeg": pd.Series([small], dtype=object)})
        finally:
            decoder.close()

    return chosen.mapInPandas(jpegs, "product_id string, jpeg binary").collect()


def _photos(frame: pd.DataFrame, column: PhotoColumn | None) -> Iterator[bytes | str | None]:
    """Yield the photo of each row, or its URI."""
    if column is None:
        yield from frame["photo"]
        return
    with parquet_photos.Reader(column) as reader:
        yield from reader.photos(frame)
