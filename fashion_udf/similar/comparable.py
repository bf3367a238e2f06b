"""The comparable products of the tags table, with the columns for a search, as a data frame.

product_id, embedding, category, photo, item_group, caps, numbers   see `products.from_arrow`
searched      string          the pool in which the product's list is searched; null if the list is empty
held          array<string>   the pools in which the product may be recommended
fingerprint   long            hash of the columns above: it is equal if nothing about the product changed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain
from typing import TYPE_CHECKING

from fashion_udf.errors import ConfigError
from fashion_udf.schema import TAGS
from fashion_udf.similar import scopes, user_tables
from fashion_udf.similar.scopes import Related
from fashion_udf.similar.settings import Filter, RecommendConfig

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: Columns of the tags table that settings may name. The others are lists, or belong to a run.
NAMED = ("category", "model_category", "parent_category", "decision", "modality", "status", "confidence", "novelty")
_BETWEEN = "\x1f"  # separates the name of a pool from the values that both products share


@dataclass(frozen=True)
class LeftOut:
    """Rows of the tags table that are not compared, by cause."""

    no_embedding: int = 0
    other_model: int = 0
    no_category: int = 0


@dataclass(frozen=True)
class Comparable:
    """Rows of the tags table that can be compared.

    Attributes:
        rows: of the tags table.
        count: of these.
        categories: of these, in order.
        left_out: rows that are not compared.
    """

    rows: DataFrame
    count: int
    categories: tuple[str, ...]
    left_out: LeftOut


def compared(tags: DataFrame, model_version: str) -> Comparable:
    """Return the rows that can be compared, and what one pass over all of them tells.

    Args:
        tags: rows of a snapshot.
        model_version: model version of its commit. Rows with a result of another model are left out.
    """
    from pyspark.sql import functions as F

    cause = (
        F.when(F.col("embedding").isNull(), "no_embedding")
        .when(F.col("model_version") != F.lit(model_version), "other_model")
        .when(F.col("category").isNull(), "no_category")
    )
    # To tell whether an embedding is null it is read: once, whatever is counted.
    found = tags.groupBy(cause.alias("cause"), "category").count().collect()
    left_out, fine = Counter[str](), {row["category"]: row["count"] for row in found if row["cause"] is None}
    for row in found:
        if row["cause"] is not None:
            left_out[row["cause"]] += row["count"]
    return Comparable(tags.where(cause.isNull()), sum(fine.values()), tuple(sorted(fine)), LeftOut(**left_out))


def products(
    spark: SparkSession, config: RecommendConfig, rows: DataFrame, categories: Iterable[str], related: Related
) -> DataFrame:
    """Return the data frame that the docstring of this file describes.

    Args:
        spark: the session.
        config: of the run.
        rows: of `compared`.
        categories: of the rows.
        related: of `scopes.related`.

    Raises:
        CatalogError: the table of `columns.path` cannot be read, or has a product twice.
        ConfigError: a named column is missing, or no category of the products is in the table of compatible ones.
    """
    from pyspark.sql import functions as F

    rows, columns = with_columns(spark, config, rows)
    pools = scopes.pools(config.scope, related, categories)
    shared = [columns[name].cast("string") for name in config.same]
    known = reduce(lambda all_known, column: all_known & column.isNotNull(), shared, F.lit(True))

    group = columns[config.item_group].cast("string") if config.item_group else F.lit(None).cast("string")
    nowhere, named = F.array().cast("array<string>"), partial(F.concat_ws, _BETWEEN)
    in_pools = {key: F.array(*map(F.lit, names)).cast("array<string>") for key, names in pools.held.items()}
    held = F.transform(_looked_up(in_pools, "array<string>"), lambda pool: named(pool, *shared))
    searched = _looked_up({key: F.lit(pool) for key, pool in pools.searched.items()}, "string")
    frame = rows.select(
        "product_id",
        "embedding",
        "category",
        F.col("image_sha256").alias("photo"),
        group.alias("item_group"),
        F.array(*(columns[name].cast("string") for name in config.at_most)).cast("array<string>").alias("caps"),
        F.array(*(_number(columns[name]) for name in config.ratios)).cast("array<double>").alias("numbers"),
        F.when(known & searched.isNotNull(), named(searched, *shared)).alias("searched"),
        F.when(known & _fine(config, columns), F.coalesce(held, nowhere)).otherwise(nowhere).alias("held"),
    )
    return frame.withColumn("fingerprint", F.xxhash64(*frame.columns))


def _fine(config: RecommendConfig, columns: Mapping[str, Column]) -> Column:
    """Return whether the filters let a product be recommended."""
    from pyspark.sql import functions as F

    fine = F.lit(True)
    for rule in config.filters:
        if rule.equals is not None:
            fine = fine & F.coalesce(_equals(columns[rule.column], rule), F.lit(False))
    return fine


def with_columns(
    spark: SparkSession, config: RecommendConfig, rows: DataFrame
) -> tuple[DataFrame, Mapping[str, Column]]:
    """Return the rows with the joined columns, and the place of each column that the settings name.

    Raises:
        CatalogError: the table of `columns.path` cannot be read, or has a product twice.
        ConfigError: a column is missing. The message names the existing ones.
    """
    from pyspark.sql import functions as F

    wanted = config.further_columns
    joined = set(user_tables.names(spark, "columns.path", config.columns))
    attributes = _attributes(rows) if set(wanted) - joined - set(NAMED) else []
    if missing := [name for name in wanted if name.casefold() not in joined and name not in (*NAMED, *attributes)]:
        there = ", ".join([*sorted(joined - {"product_id"}), *NAMED, *attributes])
        raise ConfigError(
            f"Expected the columns that the settings name in columns.path ({config.columns.path}), the tags table or "
            f"its attributes. Received: no {' and no '.join(missing)} among {there}"
        )
    theirs = [name for name in wanted if name.casefold() in joined]
    if theirs:
        table = user_tables.read(spark, "columns.path", config.columns, ["product_id", *theirs], ["product_id"])
        user_tables.require_once(table, "product_id", f"{config.columns.path} (columns.path)")
        renamed = [F.col(f"`{name}`").alias(f"joined_{place}") for place, name in enumerate(theirs)]
        rows = rows.join(table.select("product_id", *renamed), on="product_id", how="left")
    places = {name: F.col(f"joined_{place}") for place, name in enumerate(theirs)}
    own = {name: F.col(name) if name in NAMED else _attribute(name) for name in wanted if name not in places}
    return rows, {**places, **own}


def _attributes(rows: DataFrame) -> list[str]:
    """Return the names of the model's attributes."""
    from pyspark.sql import functions as F

    if "attributes" not in TAGS.names:
        return []
    first = rows.where(F.col("attributes").isNotNull()).select("attributes.name").first()
    return list(first["name"]) if first else []


def _attribute(name: str) -> Column:
    from pyspark.sql import functions as F

    return F.get(F.filter("attributes", lambda each: each["name"] == F.lit(name)), F.lit(0))["value"]


def _equals(column: Column, rule: Filter) -> Column:
    from pyspark.sql import functions as F

    if isinstance(rule.equals, bool):
        return F.lower(column.cast("string")) == F.lit(str(rule.equals).lower())
    if isinstance(rule.equals, (int, float)):
        return _number(column) == F.lit(float(rule.equals))
    return column.cast("string") == F.lit(rule.equals)


def _number(column: Column) -> Column:
    """Return a column as numbers. Text that is no number, as in a CSV file, is null."""
    from pyspark.sql import functions as F

    text = F.trim(column.cast("string"))
    return F.when(text.rlike(r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"), text).cast("double")


def _looked_up(values: Mapping[str, Column], kind: str) -> Column:
    """Return the value for each row's category; null for a category without a value."""
    from pyspark.sql import functions as F

    if not values:
        return F.lit(None).cast(kind)
    return F.create_map(*chain.from_iterable((F.lit(key), value) for key, value in values.items()))[F.col("category")]
