"""Write the rows of a public layout as Parquet, and the unusable records separately. Every row read is counted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from fashion_udf.catalog.public_layouts import ATTRIBUTES
from fashion_udf.errors import CatalogError, InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EXAMPLES = 10
#: Maximum of photo bytes that a Python worker sends to Spark at a time.
BATCH_BYTES = 8_000_000
PHOTOS_PER_FILE, ROWS_PER_FILE = 1_000, 500_000
#: A scan can be split at row groups. The writer checks the size of a row group every few rows: the default of 100 rows
#: would be 500 MB with photos of 5 MB.
PARQUET = {
    "parquet.block.size": str(16 * 1024 * 1024),
    "parquet.page.size": str(1024 * 1024),
    "parquet.block.size.row.check.min": "8",
    "parquet.block.size.row.check.max": "1000",
    "parquet.page.size.row.check.min": "8",
}


@dataclass(frozen=True)
class Counts:
    """Counts of an import: `read` = `written` + `rejected`."""

    read: int
    written: int
    with_photo: int
    rejected: int
    examples: tuple[str, ...]  # the first rejected records, for people


def require_new(*directories: Path) -> None:
    """Refuse to overwrite a directory.

    Raises:
        InputError: one of the directories exists.
    """
    for directory in directories:
        if directory.exists():
            raise InputError(
                f"Expected a new directory. Received: {directory}, which exists; remove it or name another"
            )


def write(rows: DataFrame, photos: str, output: Path, rejected: Path) -> Counts:
    """Write the usable rows to `output` and the others to `rejected`, which is created only if there are any.

    Args:
        rows: the columns of `public_layouts.ROWS`, with or without those of `public_layouts.ATTRIBUTES`.
        photos: a key of `PHOTOS`.
        output: a new directory. It gets this name when it is complete.
        rejected: a new directory for `line`, `problem` and `raw`.

    Raises:
        InputError: a directory exists.
        CatalogError: rows were lost or duplicated.
    """
    from pyspark.sql import functions as F

    require_new(output, rejected)
    unfinished = output.with_name(f"{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by an import that was killed
    cached = rows.cache()
    try:
        sizes = cached.agg(F.count("*"), F.count("problem"), F.count("photo_path")).first()
        assert sizes is not None  # an aggregate without groups has one row
        total, refused, with_photo = sizes
        files = 1 + total // ROWS_PER_FILE + (with_photo // PHOTOS_PER_FILE if photos == "bytes" else 0)
        good = cached.where(F.col("problem").isNull()).repartition(files, "product_id")
        ordered = good.sortWithinPartitions("product_id", "line")
        PHOTOS[photos](ordered).write.options(**PARQUET).parquet(str(unfinished.absolute()))
        bad = cached.where(F.col("problem").isNotNull()).select("line", "problem", "raw").orderBy("line")
        if refused:
            bad.coalesce(1).write.parquet(str(rejected.absolute()))
        examples = tuple(f"line {row[0]}: {row[1]}: {row[2][:120]}" for row in bad.limit(EXAMPLES).collect())
    finally:
        cached.unpersist()
    column = "image" if photos == "bytes" else "image_uri"
    written = rows.sparkSession.read.parquet(str(unfinished.absolute())).agg(F.count("*"), F.count(column)).first()
    assert written is not None  # an aggregate without groups has one row
    if written[0] + refused != total:
        raise CatalogError(f"Expected {total} rows, written or rejected. Received: {written[0]} and {refused}")
    os.rename(unfinished, output)
    return Counts(total, written[0], written[1], refused, examples)


def _with_bytes(rows: DataFrame) -> DataFrame:
    """Read each photo on an executor, with at most one batch of bytes in memory."""
    schema = "product_id string, title string, description string, image binary, category string"
    attributes = _attributes(rows)
    schema += "".join(f", {name} string" for name in attributes)
    columns = ("product_id", "title", "description", "photo_path", "category", *attributes)
    return rows.select(*columns).mapInPandas(_read_photos, schema)


def _attributes(rows: DataFrame) -> list[str]:
    return [name for name in ATTRIBUTES if name in rows.columns]


def _read_photos(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for frame in frames:
        start, images, size = 0, list[bytes | None](), 0
        for path in frame["photo_path"]:
            images.append(None if path is None else Path(path).read_bytes())
            size += len(images[-1] or b"")
            if size >= BATCH_BYTES:
                yield _batch(frame, start, images)
                start, images, size = start + len(images), [], 0
        if images:
            yield _batch(frame, start, images)


def _batch(frame: pd.DataFrame, start: int, images: list[bytes | None]) -> pd.DataFrame:
    part = frame.iloc[start : start + len(images)].drop(columns="photo_path")
    return part.assign(image=pd.Series(images, index=part.index, dtype=object))


def _with_uri(rows: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    photo = F.col("photo_path").alias("image_uri")
    return rows.select("product_id", "title", "description", photo, "category", *_attributes(rows))


#: How photos are stored: name -> (rows) -> catalog columns.
PHOTOS: dict[str, Callable[[DataFrame], DataFrame]] = {"bytes": _with_bytes, "uri": _with_uri}
