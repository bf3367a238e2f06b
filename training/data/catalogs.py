"""Join several labelled catalogs: each product once, with the columns for the split and the labels, without photos."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from fashion_udf.errors import CatalogError

from .split import normalised_title

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: The attributes that `fashion-udf import` writes; a catalog may have some of them.
ATTRIBUTES = ("gender", "base_colour", "season", "usage")
_REQUIRED = ("product_id", "title", "category")
_WORD = re.compile(r"[^\W_]+")
#: Words of colours in titles. Two titles that differ only in these belong to one product in two colours.
COLOURS = frozenset(
    "beige black blue bronze brown burgundy charcoal coffee copper cream fluorescent fuchsia gold golden gray "
    "green grey indigo ivory khaki lavender lime magenta maroon mauve melange metallic multi multicolor "
    "multicolour multicoloured mushroom mustard navy nude off olive orange peach pink purple red rose rust sea "
    "silver skin steel tan taupe teal turquoise violet white yellow".split()
)


def title_without_colours(title: str | None) -> str | None:
    """Return a title's words in lower case, without words of colours, or all words if no other is left.

    Titles with the same result belong to one product or to its colour variants. The result is None for a blank title.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", title or "").casefold())
    return " ".join([word for word in words if word not in COLOURS] or words) or normalised_title(title)


def attribute_names(catalogs: Sequence[DataFrame], asked: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the requested attributes or, without a request, those of `ATTRIBUTES` that a catalog has.

    Raises:
        CatalogError: no catalog has a requested attribute.
    """
    found = {column for catalog in catalogs for column in catalog.columns}
    if missing := sorted(set(asked or ()) - found):
        raise CatalogError(
            f"Expected columns for the attributes {', '.join(asked or ())}. Received: no catalog with "
            f"{', '.join(missing)}"
        )
    return tuple(asked) if asked is not None else tuple(name for name in ATTRIBUTES if name in found)


def united(catalogs: Sequence[DataFrame], attributes: Sequence[str]) -> DataFrame:
    """Return the labelled rows of all catalogs, with the columns for a training set.

    Args:
        catalogs: rows with `product_id`, `title`, `category` and, optionally, `description`, `image` and `attributes`.
        attributes: names of columns.

    Returns:
        Columns `product_id`, `title`, `description`, `image` (null without a photo), `category`, `attributes` and
        `catalog`, the position of the row's catalog.

    Raises:
        CatalogError: a catalog lacks a column, or has paths instead of photos.
    """
    from pyspark.sql import functions as F

    parts = []
    for position, catalog in enumerate(catalogs):
        _require_columns(catalog)
        texts = [_column(catalog, name) for name in (*_REQUIRED, "description", *attributes)]
        photo = F.col("image") if "image" in catalog.columns else F.lit(None).cast("binary").alias("image")
        parts.append(catalog.select(*texts, photo, F.lit(position).alias("catalog")))
    rows = reduce(lambda one, other: one.unionByName(other), parts).where(F.col("category").isNotNull())
    return rows.withColumn("image", F.when(F.length("image") > 0, F.col("image")))


def products(rows: DataFrame, attributes: Sequence[str]) -> DataFrame:
    """Return each product once, from the first catalog that has it. The next catalogs fill in missing attributes.

    Returns:
        Columns `product_id`, `catalog` (of the row), `copies` (number of catalogs with the product), `category`,
        `normalised_title`, `colourless_title`, `image_sha256` and `attributes` (a JSON object).

    Raises:
        CatalogError: a catalog has a product twice, or a product without an id.
    """
    from pyspark.sql import functions as F

    # From Spark 4.1 on, a function with annotations would become a pandas UDF.
    normalised = F.udf(lambda title: normalised_title(title), "string")
    colourless = F.udf(lambda title: title_without_colours(title), "string")
    keys = rows.select(
        *("product_id", "catalog", "category"),
        normalised("title").alias("normalised_title"),
        colourless("title").alias("colourless_title"),
        F.sha2("image", 256).alias("image_sha256"),
        *attributes,
    ).localCheckpoint()  # so that photos are read once
    _require_ids(keys)
    own = [F.min_by(name, "catalog").alias(name) for name in ("category", "normalised_title", "colourless_title")]
    values = [_first_known(name).alias(name) for name in attributes]
    known = F.to_json(F.struct(*attributes)) if attributes else F.lit("{}")
    return (
        keys.groupBy("product_id")
        .agg(
            F.min("catalog").alias("catalog"),
            F.count("*").alias("copies"),
            *own,
            F.min_by("image_sha256", "catalog").alias("image_sha256"),
            *values,
        )
        .withColumn("attributes", known)
        .drop(*attributes)
    )


def _first_known(name: str) -> Column:
    from pyspark.sql import functions as F

    return F.min_by(name, F.when(F.col(name).isNotNull(), F.col("catalog")))


def _column(catalog: DataFrame, name: str) -> Column:
    """Return a column of strings, with null for missing values and blank labels. Attributes are trimmed."""
    from pyspark.sql import functions as F

    if name not in catalog.columns:
        return F.lit(None).cast("string").alias(name)
    value = F.col(name).cast("string")
    if name in ("product_id", "title", "description"):
        return value.alias(name)
    return F.when(F.trim(value) != "", value if name == "category" else F.trim(value)).alias(name)


def _require_columns(catalog: DataFrame) -> None:
    if missing := sorted(set(_REQUIRED) - set(catalog.columns)):
        raise CatalogError(
            "Expected a labelled catalog, as `fashion-udf import` writes with --images bytes. "
            f"Received: one without {', '.join(missing)}"
        )
    if "image_uri" in catalog.columns and "image" not in catalog.columns:
        raise CatalogError(
            "Expected photos as bytes, as `fashion-udf import` writes with --images bytes. Received: only image_uri. "
            "Drop the column to train on texts only"
        )


def _require_ids(keys: DataFrame) -> None:
    from pyspark.sql import functions as F

    repeated = keys.groupBy("catalog", "product_id").count().where("count > 1 or product_id is null")
    found = [row["product_id"] for row in repeated.orderBy(F.col("product_id")).limit(10).collect()]
    if found:
        names = ", ".join("null" if name is None else name for name in found)
        raise CatalogError(f"Expected every product_id once in its catalog. Received: {names}")
