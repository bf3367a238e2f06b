"""What makes a row new, in Spark SQL: digests of everything its result depends on.

A fingerprint is three digests joined by hyphens: of the text, of the image identity, and of the versions (model,
precision, preprocessing). Two rows with one fingerprint have one result. If two fingerprints of a product differ, the
part that differs says why the product is scored again.

A digest is the first 128 bits of a SHA-256: a table of ten million rows meets two equal ones by chance once in 10^24.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from fashion_udf.photos import fetch
from fashion_udf.photos.decode import PREPROCESSING_VERSION

if TYPE_CHECKING:
    from pyspark.sql import Column

_DIGITS = 32  # hexadecimal, of a part


def fingerprint(
    title: Column, description: Column, image_identity: Column, model_version: str, precision: str
) -> Column:
    """Return the fingerprint of a row.

    Title and description are hashed on their own first, so that moving a character from one to the other is a change.
    A null counts as an empty string: both are scored alike.
    """
    from pyspark.sql import functions as F

    def digest(column: Column) -> Column:
        return F.substring(F.sha2(F.coalesce(column, F.lit("")), 256), 1, _DIGITS)

    versions = F.lit("\n".join([model_version, precision, PREPROCESSING_VERSION]))
    words = F.concat(*(F.sha2(F.coalesce(part, F.lit("")), 256) for part in (title, description)))
    return F.concat_ws("-", digest(words), digest(image_identity), digest(versions))


def text_part(column: Column) -> Column:
    """Return the part of a fingerprint that follows title and description."""
    return column.substr(1, _DIGITS)


def image_part(column: Column) -> Column:
    """Return the part of a fingerprint that follows the image identity."""
    return column.substr(_DIGITS + 2, _DIGITS)


def versions_part(column: Column) -> Column:
    """Return the part of a fingerprint that follows model, precision and preprocessing."""
    return column.substr(2 * _DIGITS + 3, _DIGITS)


def image_identity(product_id: Column, photo: Column, is_uri: bool, version: Column, observed: Column) -> Column:
    """Return the image identity of a row (see `schema`); null if there is no photo.

    Args:
        product_id: of the row.
        photo: bytes or URI.
        is_uri: `photo` is a URI.
        version: the catalog's `image_version`; a photo with the same version is the same photo.
        observed: used if there is no version: size and time of a URI's file, or the hexadecimal SHA-256 of bytes.
    """
    from pyspark.sql import functions as F

    if is_uri:
        # With the URI: files may share size and time (a zip keeps even seconds), and products share versions like 1.
        named = F.concat(F.lit("uri "), photo, F.lit("\n"), F.coalesce(version, observed, F.lit("")))
        return F.when(photo.isNotNull(), named)
    versioned = F.concat(F.lit("version "), product_id, F.lit("\n"), version)
    return F.coalesce(versioned, F.concat(F.lit("sha256 "), observed))


def file_identity_udf(image_roots: Sequence[str]) -> Callable[[Column], Column]:
    """Return a UDF from a URI to size and time of its file, looked up on the executors; null if it is not read."""
    from pyspark.sql.pandas.functions import pandas_udf

    def identities(uris: pd.Series) -> pd.Series:
        return uris.map(lambda uri: None if uri is None else fetch.identity(uri, image_roots))

    return pandas_udf(identities, "string")  # type: ignore[call-overload, no-any-return]
