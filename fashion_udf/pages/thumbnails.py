"""Titles and small photos of a few products of the catalog, read by few tasks and for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from fashion_udf.catalog import columns
from fashion_udf.config import JobConfig
from fashion_udf.pages.run_page import TEXT, Product
from fashion_udf.photos import parquet_photos, small_photos
from fashion_udf.photos.parquet_photos import PhotoColumn
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.pipeline import photo_places

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

SIZE = 96  # pixels
#: Products whose photos a page asks for, tasks that read them, and seconds after which a task begins no further photo.
MOST, TASKS, SECONDS = 400, 4, 15.0


def read(spark: SparkSession, config: JobConfig, product_ids: Sequence[str]) -> dict[str, Product]:
    """Return what a page shows of products, by id, in the order of the ids; those that the catalog lacks are left out.

    Photos that Spark itself would read (of a table, or of files elsewhere) are left out: for them it reads all photos.
    """
    from pyspark.sql import functions as F

    wanted = list(dict.fromkeys(product_ids))[:MOST]
    if not wanted:
        return {}
    catalog = columns.read(spark, config.input)
    rows = catalog.rows.where(F.col("product_id").isin(wanted)).withColumn("title", F.substring("title", 1, TEXT))
    by_uri = "image_uri" in rows.columns
    if catalog.photos is not None:
        rows = parquet_photos.in_file_order(rows.drop("image"), TASKS)
        chosen = rows.select("product_id", "title", parquet_photos.FILE, parquet_photos.ROW)
    else:
        photo = F.col("image_uri") if by_uri else F.lit(None).cast("string")
        chosen = rows.select("product_id", "title", photo.alias("photo")).repartition(TASKS)
    found = {
        row["product_id"]: Product(row["title"], row["jpeg"]) for row in _with_jpegs(chosen, config, catalog.photos)
    }
    return {name: found[name] for name in wanted if name in found}


def _with_jpegs(chosen: DataFrame, config: JobConfig, column: PhotoColumn | None) -> list[Row]:
    roots, seconds, remote = config.input.image_roots, SECONDS, photo_places.remote(config, TASKS)

    def jpegs(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        decoder, end = SandboxedDecoder(small_photos.SECONDS), time.monotonic() + seconds
        try:
            for frame in frames:
                photos = _photos(frame, column)
                small = [
                    small_photos.jpeg(next(photos), SIZE, decoder, roots, remote) if time.monotonic() < end else None
                    for _ in range(len(frame))
                ]
                yield frame[["product_id", "title"]].assign(jpeg=pd.Series(small, dtype=object, index=frame.index))
        finally:
            decoder.close()

    return chosen.mapInPandas(jpegs, "product_id string, title string, jpeg binary").collect()


def _photos(frame: pd.DataFrame, column: PhotoColumn | None) -> Iterator[bytes | str | None]:
    """Yield the photo of each row, or its URI, when it is asked for."""
    if column is None:
        yield from (photo if isinstance(photo, str) else None for photo in frame["photo"])
        return
    with parquet_photos.Reader(column) as reader:
        yield from reader.photos(frame)
