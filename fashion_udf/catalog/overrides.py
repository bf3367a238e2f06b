"""Overrides: people's categories from a table (product_id, category) and from the review. No run overwrites them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from fashion_udf.catalog import cells, sources
from fashion_udf.catalog.csv_files import quoted
from fashion_udf.config import Overrides
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

logger = logging.getLogger(__name__)

COLUMNS = ("product_id", "category")
EXAMPLES = 10  # maximum of ids or categories named in a message
#: Minimum of decisions for a check of shares: of fewer decisions, one is a large share.
MIN_DECISIONS = 10


@dataclass(frozen=True)
class Matched:
    """The decisions (`product_id`, unique, as in the catalog; `category`), and the counts of those without a match."""

    rows: DataFrame
    unknown: dict[str, int] = field(default_factory=dict)


def decisions(
    spark: SparkSession,
    source: Overrides,
    products: DataFrame,
    labels: Sequence[str],
    reviewed: Mapping[str, str] = MappingProxyType({}),
) -> Matched:
    """Read the overrides, match them with the catalog and the model, and add the decisions of the review.

    Args:
        spark: the session.
        source: the section of the config.
        products: the products of the catalog.
        labels: categories of the model.
        reviewed: categories of the review, by product id of the catalog. A row of the table takes precedence. Decisions
            on products that left the catalog are ignored.
    """
    table = read_overrides(spark, source, labels)
    found = Matched(table) if source.path is None else matched(table, products, labels, source)
    if not reviewed:
        return found
    frame = pd.DataFrame({"product_id": [*reviewed], "category": [*reviewed.values()]}, dtype=object)
    rows = spark.createDataFrame(frame, "product_id string, category string")
    others = rows.join(found.rows.select("product_id"), on="product_id", how="left_anti")
    return Matched(found.rows.unionByName(others), found.unknown)


def read_overrides(spark: SparkSession, source: Overrides, labels: Sequence[str] = ()) -> DataFrame:
    """Read the table of overrides. Without a configured path, there are none. Rows with a blank category are ignored.

    Args:
        spark: the session.
        source: the section of the config.
        labels: categories of the model. A category in another case is replaced by the model's.

    Returns:
        `product_id`, unique, and `category`, both strings without surrounding blanks.

    Raises:
        CatalogError: the table cannot be read, lacks a column, or a product has two categories.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType, StructField, StructType

    if source.path is None:
        return sources.no_rows(spark, StructType([StructField(name, StringType()) for name in COLUMNS]))
    overrides = _read(spark, source, source.path)
    if labels:
        pairs = chain.from_iterable((name.lower(), name) for name in labels)
        known = F.create_map(*(F.lit(word) for word in pairs))
        overrides = overrides.withColumn("category", F.coalesce(known[F.lower("category")], "category"))
    overrides = overrides.where((F.col("product_id") != F.lit("")) & (F.col("category") != F.lit(""))).distinct()
    repeated = overrides.groupBy("product_id").count().where(F.col("count") > F.lit(1)).orderBy("product_id")
    if examples := repeated.limit(EXAMPLES).collect():
        raise CatalogError(
            f"Expected one category for each product in {source.path} (overrides.path). "
            f"Received: several for {', '.join(repr(row['product_id']) for row in examples)}"
        )
    return overrides


def _read(spark: SparkSession, source: Overrides, path: str) -> DataFrame:
    """Return both columns of the table, trimmed."""
    opened = sources.open_source(spark, "overrides.path", path, source.format)
    opened.require_one(COLUMNS)
    if missing := [name for name in COLUMNS if name not in opened.columns]:
        raise CatalogError(
            f"Expected the columns product_id and category in {path} (overrides.path). "
            f"Received: no {' and no '.join(missing)} among {', '.join(sorted(opened.columns.values()))}"
        )
    with sources.readable("overrides.path", source.format, path):
        frames = [frame for _, frame in opened.read(COLUMNS)]
    named = (frame.select(*(_trimmed(frame, name, path) for name in COLUMNS)) for frame in frames)
    return reduce(lambda first, other: first.unionByName(other), named)


def matched(overrides: DataFrame, products: DataFrame, labels: Sequence[str], source: Overrides) -> Matched:
    """Replace the id of each decision by the catalog's spelling, and count the decisions without a match.

    The decisions are collected on the driver: people made them, so they are few.

    Args:
        overrides: the result of `read_overrides`.
        products: the products of the catalog, with `product_id`.
        labels: categories of the model.
        source: the section of the config.

    Raises:
        CatalogError: a larger share of the decisions than `source.max_unknown` names a product that the catalog lacks,
            or a category that the model lacks. The message names the first ten.
    """
    from pyspark.sql import functions as F

    wanted = F.broadcast(overrides.withColumnRenamed("product_id", "wanted"))
    catalog = products.select("product_id", cells.trimmed(F.col("product_id")).alias("wanted"))
    found = overrides.withColumnRenamed("product_id", "wanted").join(
        catalog.join(wanted.select("wanted"), on="wanted", how="left_semi"), on="wanted", how="left"
    )
    rows = found.toPandas().sort_values("wanted")
    lacking = {
        "overrides_without_product": rows.loc[rows["product_id"].isna(), "wanted"],
        "overrides_of_unknown_category": rows.loc[~rows["category"].isin(labels), "category"],
    }
    for name, values in lacking.items():
        _tell(name.replace("_", " "), values, len(rows), source)
    # A product that left the catalog keeps its decision.
    ids = rows["product_id"].fillna(rows["wanted"])
    decisions = pd.DataFrame({"product_id": ids, "category": rows["category"]}, dtype=object)
    frame = overrides.sparkSession.createDataFrame(
        decisions.drop_duplicates("product_id"), "product_id string, category string"
    )
    return Matched(frame, {name: len(values) for name, values in lacking.items()})


def _tell(what: str, values: pd.Series, decisions: int, source: Overrides) -> None:
    """Log the decisions without a match, or refuse them if they are too many."""
    if values.empty:
        return
    named = ", ".join(repr(value) for value in values.drop_duplicates()[:EXAMPLES])
    said = f"{what}: {len(values)} of {decisions}, first {named}"
    if decisions >= MIN_DECISIONS and len(values) / decisions > source.max_unknown:
        raise CatalogError(
            f"Expected at most {source.max_unknown:.0%} of the decisions in {source.path} to be unknown "
            f"(overrides.max_unknown). Received: {said}"
        )
    logger.warning("%s", said)


def _trimmed(frame: DataFrame, name: str, path: str) -> Column:
    from pyspark.sql import functions as F

    if name not in frame.columns:
        return F.lit(None).cast("string").alias(name)
    kind = frame.schema[name].dataType
    text = cells.exact_string(frame[quoted(name)], kind, times=False)
    if text is None or (name == "category" and kind.simpleString() not in ("string", "binary")):
        exact = ("string", *(cells.WHOLE_NUMBERS if name == "product_id" else ()))
        raise CatalogError(
            f"Expected {name} of {path} (overrides.path) to be {' or '.join(exact)}. Received: {kind.simpleString()}"
        )
    return cells.trimmed(text).alias(name)
