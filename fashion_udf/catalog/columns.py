"""Map any source to a data frame of `schema.CATALOG`, and separate the rows with unusable ids.

Ids stay strings. Text sources are read without type inference, so "007", "1e5" and "NaN" are kept. Photo bytes are
never collected on the driver.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from fashion_udf.catalog import cells, mapping, photo_columns, sources
from fashion_udf.catalog.cells import DAMAGED, Photo
from fashion_udf.catalog.mapping import Mapped, Place
from fashion_udf.catalog.parquet_files import SPARK_FILE, SPARK_ROW
from fashion_udf.catalog.photo_columns import unexpected
from fashion_udf.catalog.sources import Source
from fashion_udf.config import Input
from fashion_udf.errors import CatalogError
from fashion_udf.photos.parquet_photos import FILE, ROW, PhotoColumn
from fashion_udf.schema import CATALOG, to_spark

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

logger = logging.getLogger(__name__)

FURTHER = "further_photos"  # added column: number of photos in a cell after the first one
EXAMPLES = 10  # maximum of rejected ids named in an error


@dataclass(frozen=True)
class Catalog:
    """An open catalog.

    Attributes:
        rows: the columns of `CATALOG`, `FILE` and `FURTHER`. One of `image` and `image_uri` is present; without a photo
            column it is `image`, all null. `FILE` is the file of the row, as Spark names it, or null. A filter by
            `FILE` reads no other file. `ROW`, the position in the file, is present if `photos` is not None.
        notes: which files were found and read, and other facts about how the source is read, for people.
        photos: where Python workers find the photos in the files. None means that Spark reads `image`.
        photo_column: the source's column for `image`; None if there is none.
    """

    rows: DataFrame
    notes: tuple[str, ...]
    photos: PhotoColumn | None = None
    photo_column: str | None = None


def read(spark: SparkSession, source: Input) -> Catalog:
    """Read the source and map its columns.

    Raises:
        CatalogError: the source cannot be read, lacks a mapped column, or a column has another type.
        ConfigError: the source has both photo columns and the config names neither.
    """
    opened = sources.open_source(spark, "input.path", source.path, source.format, source.csv, source.ignore)
    mapped = mapping.mapped(source.columns, opened.columns)
    opened.require_one(mapped.keys)
    notes = [*opened.notes, *mapped.notes, *_lacking(opened, mapped)]
    with sources.readable("input.path", source.format, source.path):
        frames = opened.read(mapped.keys)
        photos, in_files = photo_columns.found(frames, mapped)
        rows = [
            _catalog_rows(frame, mapped, photo, file, in_files is not None)
            for (file, frame), photo in zip(frames, photos, strict=True)
        ]
    if found := opened.found:
        named = f", first left out {found.left_out[0]}" if found.left_out else ""
        notes.insert(0, f"files: {len(found.read) + len(found.left_out)} found, {len(found.read)} read{named}")
    for note in notes:
        logger.info("%s", note)
    photo_column = opened.columns[mapped.photo.key] if mapped.photo and photos[0].role == "image" else None
    union = reduce(lambda first, other: first.unionByName(other), rows)
    return Catalog(union, tuple(notes), in_files, photo_column)


def _lacking(opened: Source, mapped: Mapped) -> Iterator[str]:
    """Yield a note for each column that some files lack. A file without ids is refused."""
    for name, place in {**mapped.places, "photo": mapped.photo}.items():
        if place is None or not (lacking := opened.lacking(place.key)):
            continue
        column = opened.columns[place.key]
        if name == "product_id":
            raise CatalogError(
                f"Expected a column {column!r} (input.columns.product_id) in every file. Received: none in "
                f"{lacking[0]}. Remove the file, or leave it out with input.ignore"
            )
        yield f"{len(lacking)} of {len(opened.names)} files have no column {column!r}, first {lacking[0]}"


def split_ids(frame: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Separate the rows whose `product_id` is null, empty, repeated, or no text.

    Returns:
        The accepted rows, and the rejected ids: `product_id`, `rejection` (`id_null`, `id_repeated` or `id_not_utf8`),
        `rows`.
    """
    from pyspark.sql import functions as F

    ids = frame.groupBy("product_id").agg(F.count("*").alias("rows"))
    blank = F.coalesce(F.col("product_id"), F.lit("")) == F.lit("")
    damaged = F.col("product_id").contains(DAMAGED)
    rejection = F.when(blank, "id_null").when(damaged, "id_not_utf8").otherwise("id_repeated")
    rejected = ids.where(blank | damaged | (F.col("rows") > F.lit(1))).select(
        "product_id", rejection.alias("rejection"), "rows"
    )
    repeated = rejected.where(F.col("rejection") != F.lit("id_null")).select("product_id")
    # The repeated ids are few. They are broadcast, so that no photo is shuffled.
    accepted = frame.where(~blank).join(F.broadcast(repeated), on="product_id", how="left_anti")
    return accepted.select(*frame.columns), rejected


def require_accepted(rejected: DataFrame, max_rejected: int) -> int:
    """Return the number of rejected rows.

    Raises:
        CatalogError: there are more than `max_rejected`. The message names the first ids.
    """
    from pyspark.sql import functions as F

    totals = rejected.agg(F.coalesce(F.sum("rows"), F.lit(0)).alias("rows")).first()
    assert totals is not None  # an aggregate without groups has one row
    rows = int(totals["rows"])
    if rows > max_rejected:
        examples = rejected.orderBy("rejection", "product_id").limit(EXAMPLES).collect()
        named = ", ".join(f"{row['product_id']!r} ({row['rows']} rows, {row['rejection']})" for row in examples)
        raise CatalogError(
            f"Expected every product_id once and none empty. Received: {rows} rows with such ids, first "
            f"{named}. Correct them, or accept them with input.max_rejected"
        )
    return rows


def _catalog_rows(frame: DataFrame, mapped: Mapped, photo: Photo, file: str, with_places: bool) -> DataFrame:
    from pyspark.sql import functions as F

    types = {field.name: field.dataType for field in to_spark(CATALOG).fields}
    columns = [_typed(frame, name, place, file).cast(types[name]).alias(name) for name, place in mapped.places.items()]
    columns.insert(3, photo.first.cast(types[photo.role]).alias(photo.role))
    columns += [F.col(SPARK_FILE).alias(FILE), photo.further.cast("int").alias(FURTHER)]
    if with_places:
        columns.append(F.col(SPARK_ROW).alias(ROW))
    return frame.select(*columns)


def _typed(frame: DataFrame, name: str, place: Place | None, file: str) -> Column:
    """Return a column as text; nulls if the source has no such column."""
    from pyspark.sql import functions as F

    if place is None or place.key not in frame.columns:
        return F.lit(None)
    column, kind = cells.at(frame, place.key, place.fields)
    if kind is None:
        raise unexpected(name, place, "no such field", file)
    if kind.simpleString() == "void" or (name != "product_id" and cells.is_nan_alone(frame, column, kind)):
        return F.lit(None)
    if name in ("title", "description"):
        text = cells.valid_text(column, kind) if kind.simpleString() in ("string", "binary") else None
    else:
        text = cells.exact_string(column, kind, times=name == "image_version")
    if text is None:
        raise unexpected(name, place, kind.simpleString(), file)
    return text
