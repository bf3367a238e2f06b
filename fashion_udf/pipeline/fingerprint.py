"""Fingerprints, in Spark SQL: hashes of everything that the result of a row depends on.

A fingerprint is three digests joined by hyphens: of the text, of the image identity, and of the versions (model, engine
and its settings). Rows with the same fingerprint have the same result. If the fingerprint of a product changed, the
part that differs tells why the product is scored again.

A digest is the first 128 bits of a SHA-256, so that two of ten million rows collide with a probability of 10^-24.
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

_DIGITS = 32  # hexadecimal digits of a part


@dataclass(frozen=True)
class Versions:
    """Everything that the results of a run depend on, apart from the rows.

    Attributes:
        model_version: version of the bundle.
        engine, precision: the engine and precision that run the model.
        top_k: number of categories in `top_categories`.
        max_image_bytes, max_image_pixels: a larger photo is not decoded. They only affect rows with a photo.
    """

    model_version: str
    engine: str
    precision: str
    top_k: int
    max_image_bytes: int
    max_image_pixels: int


@dataclass(frozen=True)
class LookedUp:
    """Settings to look up the identity of photos at URIs without a version.

    Attributes:
        image_roots: directories that local photos may lie in.
        s3: where S3 is.
        in_s3: whether there are photos in S3. Their rows are then sorted for the listing.
        requests: counts of the requests, which tasks add to.
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
        source, versions, looked_up: rows of `columns.read`; versions of the run; settings to look up photos at URIs.
        versioned: whether every row has an `image_version`. Then no photo is looked at.
        photos: where the photos are in the source's files, in the order of the rows; None for other photos.

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
    """Sort rows by URI, so that the keys of a batch are on one page of a listing."""
    return source.repartitionByRange("image_uri").sortWithinPartitions("image_uri")


def _held() -> dict[str, Column]:
    """Return the columns of a plan that do not depend on the photo."""
    from pyspark.sql import functions as F

    words = F.concat(*(F.coalesce(F.col(name), F.lit("")) for name in ("title", "description")))
    return {
        "has_text": F.length(F.trim(words)) > F.lit(0),
        "damaged_text": words.contains(DAMAGED),
        "further_photos": F.col(columns.FURTHER),
    }


def _with_presence(source: DataFrame, versioned: bool, photos: PhotoColumn | None) -> DataFrame:
    """Add `has_photo` to the rows of a catalog and, unless every row has a version, the facts of `photos`.

    If every row has a version, only the rows without a photo are read: Parquet's statistics skip every row group
    without a null. This step is needed to notice a photo that arrives later under a version that was known before.
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

    Title and description are hashed separately first, so that moving a character from one to the other is a change.
    A null counts as an empty string, because both give the same result. The limits of photos are included only for a
    row with a photo: a change of the limits must not score other rows again.
    """
    from pyspark.sql import functions as F

    def digest(column: Column) -> Column:
        return F.substring(F.sha2(F.coalesce(column, F.lit("")), 256), 1, _DIGITS)

    words = F.concat(*(F.sha2(F.coalesce(part, F.lit("")), 256) for part in (title, description)))
    without_photo, with_photo = map(F.lit, versions_parts(versions))
    facts = F.when(image_identity.isNull(), without_photo).otherwise(with_photo)
    return F.concat_ws("-", digest(words), digest(image_identity), facts)


def versions_parts(versions: Versions) -> tuple[str, str]:
    """Return the versions' part of a fingerprint: for a row without a photo, and for a row with one."""
    run = (versions.model_version, versions.engine, versions.precision, PREPROCESSING_VERSION, versions.top_k)
    limits = (versions.max_image_bytes, versions.max_image_pixels)
    without_photo, with_photo = (
        hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:_DIGITS] for facts in (run, run + limits)
    )
    return without_photo, with_photo


def text_part(column: Column) -> Column:
    """Return the part of a fingerprint for title and description."""
    return column.substr(1, _DIGITS)


def image_part(column: Column) -> Column:
    """Return the part of a fingerprint for the image identity."""
    return column.substr(_DIGITS + 2, _DIGITS)


def versions_part(column: Column) -> Column:
    """Return the part of a fingerprint for the versions."""
    return column.substr(2 * _DIGITS + 3, _DIGITS)


def image_identity(
    product_id: Column, uri: Column | None, has_photo: Column, version: Column, observed: Column
) -> Column:
    """Return the image identity of a row (see `schema`); null for a row without a photo.

    Args:
        product_id: id of the row.
        uri: URI of the photo; None if the rows hold the photo's bytes.
        has_photo: whether the row has a photo.
        version: the catalog's `image_version`. A photo with the same version is the same photo.
        observed: used without a version: size and time of a URI's file, or the hexadecimal SHA-256 of the bytes.
    """
    from pyspark.sql import functions as F

    if uri is not None:
        # The URI is included, because files may have the same size and time, and products the same version, such as 1.
        named = F.concat(F.lit("uri "), uri, F.lit("\n"), F.coalesce(version, observed, F.lit("")))
    else:
        versioned = F.concat(F.lit("version "), product_id, F.lit("\n"), version)
        named = F.coalesce(versioned, F.concat(F.lit("sha256 "), observed))
    return F.when(has_photo, named)


def known_validator(validator: Column, tagged_at: Column) -> Column:
    """Return what to ask the host of a URL by, whether its photo is still the published one.

    That is the published validator. Without one, as in rows of an older release, it is an HTTP date a day before the
    row was scored, because clocks may differ. The session's time zone is UTC.
    """
    from pyspark.sql import functions as F

    day_before = tagged_at - F.expr("INTERVAL 1 DAY")
    return F.coalesce(validator, F.date_format(day_before, "EEE, dd MMM yyyy HH:mm:ss 'GMT'"))


def identity_udf(looked_up: LookedUp) -> Callable[[Column], Column]:
    """Return a UDF that looks up the identity of the photo at a URI, on the executors.

    The identity is size and time of a file, or the etag of an object in S3, from pages of a listing. It is null if
    there is no such photo, or for a URL.
    """
    from pyspark.sql.pandas.functions import pandas_udf

    roots, settings, requests = looked_up.image_roots, looked_up.s3, looked_up.requests

    def identities(uris: pd.Series) -> pd.Series:
        etags = s3_listing.etags((uri for uri in uris if uri and fetch.is_of_s3(uri)), settings)
        if requests is not None:
            requests.add(attempts.counted())
        return uris.map(lambda uri: None if uri is None else etags.get(uri) or fetch.identity(uri, roots))

    return pandas_udf(identities, "string")  # type: ignore[call-overload, no-any-return]
