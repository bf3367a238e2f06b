"""Any source to a data frame of `schema.CATALOG`, and the rows with unusable ids.

Ids stay strings: text sources are read without inference, so "007", "1e5" and "NaN" survive. Photo bytes are never
collected and never shuffled.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from fashion_udf.catalog import cells, mapping, sources
from fashion_udf.catalog.cells import DAMAGED, Photo, Role
from fashion_udf.catalog.csv_files import quoted
from fashion_udf.catalog.mapping import Mapped, Place
from fashion_udf.catalog.parquet_files import SPARK_FILE
from fashion_udf.config import Input
from fashion_udf.errors import CatalogError, ConfigError
from fashion_udf.photos import encoded
from fashion_udf.schema import CATALOG, to_spark

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType

logger = logging.getLogger(__name__)

FILE = "file"  # our column: the file that a row was read from
FURTHER = "further_photos"  # our column: how many photos a cell has beside the first one
EXAMPLES = 10  # rejected ids named in an error
_SAMPLE = 20  # cells that say whether a column of text holds photos or their names


@dataclass(frozen=True)
class Catalog:
    """A catalog that is open.

    Attributes:
        rows: the columns of `CATALOG`, with one of `image` and `image_uri` (`image`, all null, where the source has
            neither), `FILE`: the file a row is in, as Spark names it, or null, and `FURTHER`. A filter by `FILE` reads
            no other file.
        notes: which files were found and read, and what else a person should know of how the source is read.
    """

    rows: DataFrame
    notes: tuple[str, ...]


def read(spark: SparkSession, source: Input) -> Catalog:
    """Read the source and map its columns.

    Raises:
        CatalogError: the source cannot be read, lacks a mapped column, or a column has another type.
        ConfigError: both photo columns are there and the config names neither.
    """
    opened = sources.open_source(spark, "input.path", source.path, source.format, source.csv, source.ignore)
    mapped = mapping.mapped(source.columns, opened.columns)
    opened.require_one(mapped.keys)
    notes = [*opened.notes, *mapped.notes]
    for name, place in {**mapped.places, "photo": mapped.photo}.items():
        if place is None or not (lacking := opened.lacking(place.key)):
            continue
        if name == "product_id":
            raise CatalogError(
                f"Expected a column {opened.columns[place.key]!r} (input.columns.product_id) in every file. Received: "
                f"none in {lacking[0]}. Remove the file, or leave it out with input.ignore"
            )
        column = opened.columns[place.key]
        notes.append(f"{len(lacking)} of {len(opened.names)} files have no column {column!r}, first {lacking[0]}")
    with sources.readable("input.path", source.format, source.path):
        frames = opened.read(mapped.keys)
        photos = _photos(frames, mapped)
        rows = [_catalog_rows(frame, mapped, photo, file) for (file, frame), photo in zip(frames, photos, strict=True)]
    if found := opened.found:
        named = f", first left out {found.left_out[0]}" if found.left_out else ""
        notes.insert(0, f"files: {len(found.read) + len(found.left_out)} found, {len(found.read)} read{named}")
    for note in notes:
        logger.info("%s", note)
    return Catalog(reduce(lambda first, other: first.unionByName(other), rows), tuple(notes))


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
    # The ids are few, so they are broadcast and the photos stay where they are.
    accepted = frame.where(~blank).join(F.broadcast(repeated), on="product_id", how="left_anti")
    return accepted.select(*frame.columns), rejected


def require_accepted(rejected: DataFrame, max_rejected: int) -> int:
    """Return the number of rejected rows.

    Raises:
        CatalogError: there are more than `max_rejected`; names the first ids.
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


def _role(frames: Sequence[tuple[str, DataFrame]], mapped: Mapped) -> Role | None:
    """Return what a photo column of text holds: photos, or names of photos; None if its type says so.

    Raises:
        ConfigError: the config says that it holds the other one.
    """
    from pyspark.sql import functions as F

    if mapped.photo is None or mapped.role == "image_uri":
        return mapped.role
    held: Role | None = mapped.role
    for _, frame in frames:
        if mapped.photo.key not in frame.columns:
            continue
        column, kind = _at(frame, mapped.photo)
        if kind is None or not cells.is_text(kind):
            continue
        held = mapped.role or "image_uri"  # if every cell is empty
        one = column if kind.simpleString() == "string" else F.array_join(column, "|")
        some = frame.select(one.alias("cell")).where(F.length(F.trim("cell")) > F.lit(0)).limit(_SAMPLE).collect()
        given = [cell for row in some if not encoded.is_nothing(cell := row["cell"].encode("utf-8", "replace"))]
        if not given:
            continue
        role: Role = "image" if any(map(encoded.is_photo, given)) else "image_uri"
        if mapped.role == "image" and role == "image_uri" and any(b"." in cell for cell in given):
            raise ConfigError(
                f"Expected photos in the column {mapped.photo.key!r} (input.columns.image). Received: names such as "
                f"{given[0][:100].decode()!r}. Use input.columns.image_uri"
            )
        return mapped.role or role
    return held


def _at(frame: DataFrame, place: Place) -> tuple[Column, DataType | None]:
    """Return a column, and its type; no type if a field that leads to it is not there."""
    from pyspark.sql.types import StructType

    column, kind = frame[quoted(place.key)], frame.schema[place.key].dataType
    for name in place.fields:
        same = {field.name.casefold(): field for field in kind.fields} if isinstance(kind, StructType) else {}
        if name.casefold() not in same:
            return column, None
        field = same[name.casefold()]
        column, kind = column.getField(field.name), field.dataType
    return column, kind


def _photos(frames: Sequence[tuple[str, DataFrame]], mapped: Mapped) -> list[Photo]:
    """Return the photo column of each frame; all hold the same."""
    from pyspark.sql import functions as F

    role = _role(frames, mapped)
    found = [_photo(frame, mapped.photo, role, file) for file, frame in frames]
    files = {photo.role: file for photo, (file, _) in zip(found, frames, strict=True) if photo}
    if len(files) > 1:
        raise CatalogError(
            f"Expected photos, or names of photos, in all files. Received: photos in {files['image']}, names in "
            f"{files['image_uri']}"
        )
    nothing = Photo(next(iter(files), role or "image"), F.lit(None), F.lit(0))
    return [photo or nothing for photo in found]


def _catalog_rows(frame: DataFrame, mapped: Mapped, photo: Photo, file: str) -> DataFrame:
    from pyspark.sql import functions as F

    types = {field.name: field.dataType for field in to_spark(CATALOG).fields}
    columns = [_typed(frame, name, place, file).cast(types[name]).alias(name) for name, place in mapped.places.items()]
    columns.insert(3, photo.first.cast(types[photo.role]).alias(photo.role))
    return frame.select(*columns, F.col(SPARK_FILE).alias(FILE), photo.further.cast("int").alias(FURTHER))


def _typed(frame: DataFrame, name: str, place: Place | None, file: str) -> Column:
    """Return a column of text."""
    from pyspark.sql import functions as F

    if place is None or place.key not in frame.columns:
        return F.lit(None)
    column, kind = _at(frame, place)
    if kind is None:
        raise _unexpected(name, place, "no such field", file)
    if kind.simpleString() == "void" or (name != "product_id" and _is_nan_alone(frame, column, kind)):
        return F.lit(None)
    if name in ("title", "description"):
        text = cells.valid_text(column, kind) if kind.simpleString() in ("string", "binary") else None
    else:
        text = cells.exact_string(column, kind, times=name == "image_version")
    if text is None:
        raise _unexpected(name, place, kind.simpleString(), file)
    return text


def _photo(frame: DataFrame, place: Place | None, role: Role | None, file: str) -> Photo | None:
    """Return the photo column; None if there is none in this frame."""
    if place is None or place.key not in frame.columns:
        return None
    column, kind = _at(frame, place)
    if kind is not None and (kind.simpleString() == "void" or _is_nan_alone(frame, column, kind)):
        return None
    found = cells.photo(column, kind, role) if kind is not None else None
    if found is None:
        received = "no such field" if kind is None else kind.simpleString()
        raise _unexpected(role or "image", place, received, file, "binary, text, or a struct or list of these")
    return found


def _is_nan_alone(frame: DataFrame, column: Column, kind: DataType) -> bool:
    """Whether a column of numbers holds nothing: pandas writes a column without any value so."""
    from pyspark.sql import functions as F

    if kind.simpleString() not in ("float", "double"):
        return False
    return frame.where(column.isNotNull() & ~F.isnan(column)).limit(1).isEmpty()


def _unexpected(name: str, place: Place, received: str, file: str, expected: str = "string") -> CatalogError:
    column = ".".join((place.key, *place.fields))
    return CatalogError(
        f"Expected column {column!r} to be {expected} (input.columns.{name}). Received: {received} in {file}"
    )
