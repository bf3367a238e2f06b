"""What makes a row new, in Spark SQL: digests of everything its result depends on.

A fingerprint is three digests joined by hyphens: of the text, of the image identity, and of the versions (model,
engine, and how it is run). Two rows with one fingerprint have one result. If two fingerprints of a product differ, the
part that differs says why the product is scored again.

A digest is the first 128 bits of a SHA-256: a table of ten million rows meets two equal ones by chance once in 10^24.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from fashion_udf.catalog import columns
from fashion_udf.catalog.cells import DAMAGED
from fashion_udf.photos import attempts, fetch, parquet_photos, s3_listing
from fashion_udf.photos.decode import PREPROCESSING_VERSION
from fashion_udf.photos.parquet_photos import FILE, ROW, PhotoColumn
from fashion_udf.s3 import S3Settings

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import Column, DataFrame

_DIGITS = 32  # hexadecimal, of a part


@dataclass(frozen=True)
class Versions:
    """What every result of a run depends on beside its row.

    Attributes:
        model_version: of the bundle.
        engine, precision: that run the model.
        top_k: number of categories in `top_categories`.
        max_image_bytes, max_image_pixels: a photo with more is not decoded; they count where a row has a photo.
    """

    model_version: str
    engine: str
    precision: str
    top_k: int
    max_image_bytes: int
    max_image_pixels: int


@dataclass(frozen=True)
class LookedUp:
    """What tells photos at URIs apart is looked up here, if they have no version.

    Attributes:
        image_roots: where local photos may lie.
        s3: where S3 is.
        in_s3: whether there are photos of S3: their rows are then sorted, for the listing.
        requests: of the lookups; tasks add them.
    """

    image_roots: tuple[str, ...] = ()
    s3: S3Settings = S3Settings()
    in_s3: bool = False
    requests: Accumulator[dict[str, int]] | None = None


def with_fingerprints(
    source: DataFrame,
    versions: Versions,
    looked_up: LookedUp,
    versioned: bool,
    photos: PhotoColumn | None = None,
) -> DataFrame:
    """Return the fingerprint of every row.

    Args:
        source, versions, looked_up: as `columns.read` gives it, of the run, and where photos at URIs are looked up.
        versioned: every row has a version; then no photo is looked at.
        photos: in the files of the source, in whose order the rows come; None: in the rows, or at URIs.

    Returns:
        The columns of `PLAN` from `product_id` to `by_url` (`photo_bytes` is null if photos are not looked at).
    """
    from pyspark.sql import functions as F

    source = _in_order_of_listing(source) if looked_up.in_s3 and not versioned else source
    uri, version = F.col("image_uri") if "image_uri" in source.columns else None, F.col("image_version")
    observed, size = F.lit(None).cast("string"), F.lit(None).cast("long")
    if photos is not None and not versioned:
        observed, size = F.col("photo.sha256"), F.col("photo.bytes")
    elif not versioned and uri is not None:
        observed = identity_udf(looked_up)(F.when(version.isNull(), uri))
    elif not versioned:
        observed, size = F.sha2(F.when(version.isNull(), F.col("image")), 256), F.octet_length("image").cast("long")
    identity = image_identity(F.col("product_id"), uri, F.col("has_photo"), version, observed)
    computed: dict[str, Column] = {
        "fingerprint": fingerprint(F.col("title"), F.col("description"), identity, versions),
        "file": F.col(FILE),
        "row": F.col(ROW) if photos is not None else F.lit(None).cast("long"),
        "has_photo": F.col("has_photo"),
        **_held(),
        "photo_bytes": size,
        "by_url": F.lit(False) if uri is None else F.coalesce(F.lower(uri).rlike("^https?:"), F.lit(False)),
    }
    named = (column.alias(name) for name, column in computed.items())
    return _with_presence(source, versioned, photos).select("product_id", *named)


def _in_order_of_listing(source: DataFrame) -> DataFrame:
    """Sort rows by URI: a task, and a batch of it, then holds keys that one page of a listing has."""
    return source.repartitionByRange("image_uri").sortWithinPartitions("image_uri")


def _held() -> dict[str, Column]:
    """Return what a plan says of a row beside its photo."""
    from pyspark.sql import functions as F

    words = F.concat(*(F.coalesce(F.col(name), F.lit("")) for name in ("title", "description")))
    return {
        "has_text": F.length(F.trim(words)) > F.lit(0),
        "damaged_text": words.contains(DAMAGED),
        "further_photos": F.col(columns.FURTHER),
    }


def _with_presence(source: DataFrame, versioned: bool, photos: PhotoColumn | None) -> DataFrame:
    """Add `has_photo` to the rows of a catalog, and what was found in its files' `photos` if these are looked at.

    If every row has a version, the rows without a photo are asked for alone: Parquet's statistics pass over every row
    group that has no null. A photo that comes late, under a version that was known before, must be noticed.
    """
    from pyspark.sql import functions as F

    photo = F.col("image_uri" if "image_uri" in source.columns else "image")
    if photos is not None and not versioned:
        found = source.withColumn("photo", parquet_photos.facts_udf(photos)(parquet_photos.place()))
        return found.withColumn("has_photo", F.col("photo.bytes").isNotNull())
    if "image_uri" in source.columns or not versioned:
        return source.withColumn("has_photo", photo.isNotNull())
    ids = source.where(photo.isNull()) if photos is None else parquet_photos.without_photo(source, photos)
    absent = ids.select("product_id", F.lit(False).alias("has_photo"))
    joined = source.join(absent, on="product_id", how="left")
    return joined.withColumn("has_photo", F.coalesce("has_photo", F.lit(True)))


def fingerprint(title: Column, description: Column, image_identity: Column, versions: Versions) -> Column:
    """Return the fingerprint of a row.

    Title and description are hashed on their own first, so that moving a character from one to the other is a change.
    A null counts as an empty string: both are scored alike. The limits of photos count where there is a photo: a change
    of these must not score again what has none.
    """
    from pyspark.sql import functions as F

    def digest(column: Column) -> Column:
        return F.substring(F.sha2(F.coalesce(column, F.lit("")), 256), 1, _DIGITS)

    words = F.concat(*(F.sha2(F.coalesce(part, F.lit("")), 256) for part in (title, description)))
    without_photo, with_photo = map(F.lit, versions_parts(versions))
    facts = F.when(image_identity.isNull(), without_photo).otherwise(with_photo)
    return F.concat_ws("-", digest(words), digest(image_identity), facts)


def versions_parts(versions: Versions) -> tuple[str, str]:
    """Return the part of a fingerprint that follows from the versions: of a row without a photo, and of one with."""
    run = (versions.model_version, versions.engine, versions.precision, PREPROCESSING_VERSION, versions.top_k)
    limits = (versions.max_image_bytes, versions.max_image_pixels)
    without_photo, with_photo = (
        hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:_DIGITS] for facts in (run, run + limits)
    )
    return without_photo, with_photo


def text_part(column: Column) -> Column:
    """Return the part of a fingerprint that follows title and description."""
    return column.substr(1, _DIGITS)


def image_part(column: Column) -> Column:
    """Return the part of a fingerprint that follows the image identity."""
    return column.substr(_DIGITS + 2, _DIGITS)


def versions_part(column: Column) -> Column:
    """Return the part of a fingerprint that follows the model and how it is run."""
    return column.substr(2 * _DIGITS + 3, _DIGITS)


def image_identity(
    product_id: Column, uri: Column | None, has_photo: Column, version: Column, observed: Column
) -> Column:
    """Return the image identity of a row (see `schema`); null if there is no photo, whatever its version.

    Args:
        product_id: of the row.
        uri: of the photo; None where the rows hold the photo's bytes.
        has_photo: whether the row has a photo.
        version: the catalog's `image_version`; a photo with the same version is the same photo.
        observed: used if there is no version: size and time of a URI's file, or the hexadecimal SHA-256 of bytes.
    """
    from pyspark.sql import functions as F

    if uri is not None:
        # With the URI: files may share size and time (a zip keeps even seconds), and products share versions like 1.
        named = F.concat(F.lit("uri "), uri, F.lit("\n"), F.coalesce(version, observed, F.lit("")))
    else:
        versioned = F.concat(F.lit("version "), product_id, F.lit("\n"), version)
        named = F.coalesce(versioned, F.concat(F.lit("sha256 "), observed))
    return F.when(has_photo, named)


def identity_udf(looked_up: LookedUp) -> Callable[[Column], Column]:
    """Return a UDF from a URI to what tells its photo from a later one, looked up on the executors.

    That is size and time of a file, and the etag of an object of S3, found by pages of a listing; null if there is no
    such photo, or it has a URL.
    """
    from pyspark.sql.pandas.functions import pandas_udf

    roots, settings, requests = looked_up.image_roots, looked_up.s3, looked_up.requests

    def identities(uris: pd.Series) -> pd.Series:
        etags = s3_listing.etags((uri for uri in uris if uri and fetch.is_of_s3(uri)), settings)
        if requests is not None:
            requests.add(attempts.counted())
        return uris.map(lambda uri: None if uri is None else etags.get(uri) or fetch.identity(uri, roots))

    return pandas_udf(identities, "string")  # type: ignore[call-overload, no-any-return]
