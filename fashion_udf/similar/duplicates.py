"""Products that are listed twice: pairs with near embeddings whose photos are the same photo (`same_photo`).

Only the photos of candidate pairs are read and decoded again, in a child process that a photo may crash.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fashion_udf.catalog import columns
from fashion_udf.config import JobConfig
from fashion_udf.photos import small_photos
from fashion_udf.photos.photo import Remote
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.pipeline import photo_places
from fashion_udf.schema import to_spark
from fashion_udf.similar import same_photo
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Batches = Iterable[pa.RecordBatch]

#: Minimum score of two products whose photos are compared.
NEAR = 0.93
#: Minimum agreement of detail and maximum difference of colour (of 255) of the same photo: docs/similar.md.
DETAIL, COLOUR = 0.75, 6.0
#: Photos that a worker decodes at a time, and `Detail`s that a worker keeps, of 1.5 MB each.
_PHOTOS, _KEPT = 64, 200
_COMPARED = pa.schema(
    [
        pa.field("product_id", pa.string()),
        pa.field("other_id", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("same_photo", pa.bool_()),
        pa.field("detail", pa.float64()),
        pa.field("colour", pa.float64()),
    ]
)


def candidates(pairs: DataFrame, near: float) -> DataFrame:
    """Return each pair of products that may be the same: product_id, other_id, score, same_photo.

    Args:
        pairs: products and their neighbours: product_id, similar_id, score, same_photo.
        near: minimum score of a pair whose photos are not byte for byte the same.
    """
    from pyspark.sql import functions as F

    near_pairs = pairs.where((F.col("score") >= F.lit(near)) | F.col("same_photo"))
    first, second = F.least("product_id", "similar_id"), F.greatest("product_id", "similar_id")
    return near_pairs.groupBy(first.alias("product_id"), second.alias("other_id")).agg(
        F.max("score").alias("score"), F.max("same_photo").alias("same_photo")
    )


def confirmed(spark: SparkSession, job: JobConfig, may_be: DataFrame) -> DataFrame:
    """Return the pairs with the same photo, the surest first, with `detail` and `colour` of `same_photo.agreement`.

    Pairs with exactly the same photo come first. Any other pair is left out if one of its photos cannot be read.

    Args:
        spark: the session.
        job: the config of the job whose catalog has the photos.
        may_be: the result of `candidates`.

    Raises:
        CatalogError: the catalog cannot be read.
    """
    from pyspark.sql import functions as F

    ids = may_be.select(F.explode(F.array("product_id", "other_id")).alias("product_id")).distinct()
    with session.settings(spark, {"spark.sql.execution.arrow.maxRecordsPerBatch": _PHOTOS}):
        photos = session.cached(thumbnails(spark, job, ids))  # about 5 KB for each product of a candidate
        photos.count()
    other = photos.select(F.col("product_id").alias("other_id"), F.col("jpeg").alias("other_jpeg"))
    both = may_be.join(photos, on="product_id", how="left").join(other, on="other_id", how="left")
    found = both.sortWithinPartitions("product_id").mapInArrow(_comparing, to_spark(_COMPARED))
    one = F.col("same_photo") | ((F.col("detail") >= F.lit(DETAIL)) & (F.col("colour") <= F.lit(COLOUR)))
    return found.where(one).orderBy(F.col("same_photo").desc(), F.col("detail").desc(), "product_id", "other_id")


def thumbnails(spark: SparkSession, job: JobConfig, ids: DataFrame) -> DataFrame:
    """Return product_id and a small JPEG of the products whose photo can be read and decoded."""
    rows = columns.read(spark, job.input).rows
    place = "image" if "image" in rows.columns else "image_uri"
    chosen = rows.join(ids, on="product_id").select("product_id", place)
    shrinking = _shrinking(job.input.image_roots, photo_places.remote(job, 1))
    return chosen.mapInArrow(shrinking, "product_id string, jpeg binary").where("jpeg IS NOT NULL")


def _shrinking(roots: tuple[str, ...], remote: Remote) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        with contextlib.closing(SandboxedDecoder(small_photos.SECONDS)) as decoder:
            for batch in batches:
                photos = (photo.as_py() for photo in batch.column(1))
                small = [small_photos.jpeg(photo, same_photo.THUMBNAIL, decoder, roots, remote) for photo in photos]
                yield pa.RecordBatch.from_arrays(
                    [batch.column(0), pa.array(small, pa.binary())], ["product_id", "jpeg"]
                )

    return run


def _comparing(batches: Batches) -> Iterator[pa.RecordBatch]:
    detail = lru_cache(maxsize=_KEPT)(_detail)
    for batch in batches:
        rows = [_compared(row, detail) for row in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, _COMPARED)


def _compared(row: Mapping[str, Any], detail: Callable[[bytes], same_photo.Detail]) -> dict[str, object]:
    kept = {name: row[name] for name in ("product_id", "other_id", "score", "same_photo")}
    if row["jpeg"] is None or row["other_jpeg"] is None:
        return {**kept, "detail": None, "colour": None}
    found = same_photo.agreement(detail(row["jpeg"]), detail(row["other_jpeg"]))
    return {**kept, "detail": found.detail, "colour": found.colour}


def _detail(jpeg: bytes) -> same_photo.Detail:
    return same_photo.detail(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))
