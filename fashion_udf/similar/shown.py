"""Titles and photos of a few products, read from the catalog, for people to look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fashion_udf.catalog import columns
from fashion_udf.config import JobConfig
from fashion_udf.photos import small_photos
from fashion_udf.pipeline import photo_places

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Shown:
    """The title of a product, and the bytes of its photo; None for a missing one."""

    title: str | None
    photo: bytes | None


def read(spark: SparkSession, config: JobConfig, ids: Iterable[str], photos: bool = True) -> dict[str, Shown]:
    """Return titles and photos by id, without products that the catalog lacks.

    Args:
        spark: the session.
        config: the config of the job.
        ids: ids of a few products, whose photos are collected on the driver.
        photos: whether photos are needed.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    from pyspark.sql import functions as F

    rows = columns.read(spark, config.input).rows
    place = "image" if "image" in rows.columns else "image_uri"
    photo = F.col(place) if photos else F.lit(None)
    chosen = rows.where(F.col("product_id").isin(*dict.fromkeys(ids)))
    found = chosen.select("product_id", "title", photo.alias("photo")).collect()
    roots, remote = config.input.image_roots, photo_places.remote(config, 1)
    return {row["product_id"]: Shown(row["title"], small_photos.content(row["photo"], roots, remote)) for row in found}
