"""Apply overrides: people's categories replace the model's, and the model's return when a decision is withdrawn."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from fashion_udf.model.taxonomy import Taxonomy
from fashion_udf.schema import TAGS, CategorySource, Decision

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def override(table: DataFrame, overrides: DataFrame, taxonomy: Taxonomy) -> DataFrame:
    """Replace the model's categories by people's, and restore the model's where a decision was withdrawn.

    Such a row has the family of its category, with the category's confidence. With a person's category, the family is
    `auto`. An override does not keep the model's decision on the family, so after a withdrawal the family gets the
    decision of the category: the model is at least as sure of a family as of one of its categories.

    Args:
        table: the columns of `TAGS`.
        overrides: `product_id`, unique, and `category`.
        taxonomy: the taxonomy of this run's model. A category that it does not know is its own family.

    Returns:
        The columns of `TAGS`. An overridden row keeps the model's `model_category`, `decision`, `top_categories`,
        `novelty` and `attributes`.
    """
    from pyspark.sql import functions as F

    joined, changed = _overridden(table, overrides)
    decided = F.when(F.col("override").isNotNull(), Decision.AUTO.value).otherwise(F.col("decision"))
    family = {
        "parent_category": parent_of(changed["category"], taxonomy),
        "parent_confidence": changed["confidence"],
        "parent_decision": decided,
    }
    touched = F.col("override").isNotNull() | _withdrawn()
    changed |= {name: F.when(touched, column).otherwise(F.col(name)) for name, column in family.items()}
    return joined.select(*(changed.get(name, F.col(name)).alias(name) for name in TAGS.names))


def override_changes(previous: DataFrame, overrides: DataFrame) -> int:
    """Return the number of published rows that the current overrides would change."""
    from pyspark.sql import functions as F

    joined, changed = _overridden(previous, overrides)
    same = F.col("category").eqNullSafe(changed["category"])
    return joined.where(~(same & F.col("category_source").eqNullSafe(changed["category_source"]))).count()


def _overridden(table: DataFrame, overrides: DataFrame) -> tuple[DataFrame, dict[str, Column]]:
    from pyspark.sql import functions as F

    by_people = overrides.select("product_id", F.col("category").alias("override"))
    overridden, withdrawn = F.col("override").isNotNull(), _withdrawn()
    category = F.when(withdrawn, F.col("model_category")).otherwise(F.coalesce("override", "category"))
    source = F.when(withdrawn, CategorySource.MODEL.value).when(overridden, CategorySource.OVERRIDE.value)
    confidence = F.when(withdrawn | overridden, confidence_of(category, F.col("top_categories")))
    return table.join(F.broadcast(by_people), on="product_id", how="left"), {
        "category": category,
        "category_source": source.otherwise(F.col("category_source")),
        "confidence": confidence.otherwise(F.col("confidence")),
        # A row that is scored again under an override keeps its category, so that it has no previous one.
        "previous_category": F.nullif(F.col("previous_category"), category),
    }


def _withdrawn() -> Column:
    """Return whether the published row has a person's decision and there is none now."""
    from pyspark.sql import functions as F

    return (F.col("category_source") == F.lit(CategorySource.OVERRIDE.value)) & F.col("override").isNull()


def confidence_of(category: Column, top_categories: Column) -> Column:
    """Return the confidence of a category; null if it is not among the top categories."""
    from pyspark.sql import functions as F

    # `get` returns null after the end of an array. In ANSI mode, an index would be an error.
    return F.get(F.filter(top_categories, lambda entry: entry["category"] == category), F.lit(0))["confidence"]


def parent_of(category: Column, taxonomy: Taxonomy) -> Column:
    """Return the family of a category. A category that the taxonomy does not know is its own family."""
    from pyspark.sql import functions as F

    pairs = [(name, family) for name, family in taxonomy.by_category.items() if name != family]
    if not pairs:
        return category
    families = F.create_map(*(F.lit(word) for word in chain.from_iterable(pairs)))
    return F.coalesce(families[category], category)
