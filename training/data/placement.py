"""Assign each product to a split, or leave it out.

    with a photo                   by the fixed split (`training.data.split`)
    without a photo                train; left out if its title, also in another colour, is in validation or test. With
                                   `split_text_only` by the fixed split too
    other kind, held out           validation and test, half of the rows each; left out if a training row has its photo
                                   or title
    other kind, not held out       train; left out if the fixed split is validation or test

So the rows of other kinds in validation and test have kinds that were not trained on. Rows with the category `OTHER`
have no known kind, and are split like those of a category.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fashion_udf.errors import CatalogError

from . import split
from .components import JOIN
from .dataset import OTHER
from .held_out import SHARE, is_held_out

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Why a product is left out.
SAME_TITLE = "without a photo, and with a title of validation or test"
SEEN_KIND = f"of a kind that is trained on as {OTHER}, in validation or test"
SEEN_PRODUCT = f"of a kind that is held out as {OTHER}, with a photo or title of train"
BEYOND = "of validation, beyond its largest size"


@dataclass(frozen=True)
class Options:
    """How products are assigned to splits."""

    other: Collection[str] = ()  # categories that are written as `OTHER`
    held_out_share: float = SHARE  # share of these that is held out
    split_text_only: bool = False  # whether validation and test have rows without a photo
    min_products: int = 1  # minimum of products of a category
    max_validation: int = 20_000  # maximum of validation rows


@dataclass(frozen=True)
class Kinds:
    """The categories of a catalog that are written as `OTHER`."""

    trained: list[str]
    held_out: list[str]


def kinds(products: DataFrame, options: Options) -> Kinds:
    """Return which categories are written as `OTHER`: those for training, and the held-out ones.

    Raises:
        CatalogError: a requested category is in no catalog.
    """
    found = {row["category"] for row in products.select("category").distinct().collect()}
    if unknown := sorted(set(options.other) - found):
        raise CatalogError(f"Expected --other to name categories of the catalogs. Received: {', '.join(unknown)}")
    # Rows of the category `OTHER` have no known kind: they are split like those of a category.
    named = sorted(set(options.other) - {OTHER})
    held_out = [name for name in named if is_held_out(name, options.held_out_share)]
    return Kinds([name for name in named if name not in held_out], held_out)


def place(products: DataFrame, kinds: Kinds, options: Options) -> DataFrame:
    """Return the products with `label` (the category or `OTHER`), `split` and `left_out` (the reason, or null).

    Args:
        products: the result of `training.data.catalogs.products`.
        kinds: the result of `kinds`.
        options: how products are assigned.

    Raises:
        CatalogError: no product has a photo, or the groups of products are too large.
    """
    from pyspark.sql import functions as F

    candidates = products if options.split_text_only else products.where(F.col("image_sha256").isNotNull())
    if candidates.isEmpty():
        raise CatalogError(
            "Expected a product with a photo: products without one are only in train, and validation and test would "
            "be empty. Received: none. --split-text-only splits products without a photo too"
        )
    base = split.assign(candidates).withColumnRenamed("split", "base")
    trained, held_out = F.col("category").isin(kinds.trained), F.col("category").isin(kinds.held_out)
    judged = F.col("base").isin(split.VALIDATION, split.TEST)
    first_half = F.sha2(F.coalesce("normalised_title", "product_id"), 256) < F.lit("8")
    placed = products.join(base.hint(JOIN), "product_id", "left").select(
        *products.columns,
        F.when(trained | held_out, F.lit(OTHER)).otherwise(F.col("category")).alias("label"),
        F.when(trained, F.lit(split.TRAIN))
        .when(held_out & ~F.coalesce(judged, F.lit(False)), F.when(first_half, split.VALIDATION).otherwise(split.TEST))
        .otherwise(F.coalesce("base", F.lit(split.TRAIN)))
        .alias("split"),
        F.when(trained & judged, F.lit(SEEN_KIND)).alias("left_out"),
        (held_out & ~F.coalesce(judged, F.lit(False))).alias("moved"),
    )
    return _without_shared(placed.localCheckpoint())


def _without_shared(placed: DataFrame) -> DataFrame:
    """Leave out products that would be both in train and in another split."""
    from pyspark.sql import functions as F

    kept, has_photo = F.col("left_out").isNull(), F.col("image_sha256").isNotNull()
    in_train = F.col("split") == F.lit(split.TRAIN)
    if placed.where("moved").isEmpty():
        marked = placed
    else:
        fixed = placed.where(kept & in_train & has_photo)
        marked = _marked(placed, fixed, "colourless_title", F.col("moved"), SEEN_PRODUCT)
        marked = _marked(marked, fixed, "image_sha256", F.col("moved"), SEEN_PRODUCT)
    marked = marked.localCheckpoint()
    judged = marked.where(kept & ~in_train)
    return _marked(marked, judged, "colourless_title", in_train & ~has_photo, SAME_TITLE).drop("moved")


def _marked(products: DataFrame, taken: DataFrame, key: str, which: Column, reason: str) -> DataFrame:
    """Set `left_out` of the products that match `which` and have a key in `taken`."""
    from pyspark.sql import functions as F

    keys = taken.where(F.col(key).isNotNull()).select(key).distinct().withColumn("is_taken", F.lit(True))
    joined = products.join(keys.hint(JOIN), key, "left")
    shared = which & F.coalesce("is_taken", F.lit(False))
    reasons = F.coalesce("left_out", F.when(shared, F.lit(reason)))
    return joined.select(*(reasons.alias(name) if name == "left_out" else F.col(name) for name in products.columns))


def capped(placed: DataFrame, most: int) -> DataFrame:
    """Leave out validation rows after the first `most`, in the order of the sha256 of their ids."""
    from pyspark.sql import functions as F

    validation = placed.where(F.col("left_out").isNull() & (F.col("split") == F.lit(split.VALIDATION)))
    if validation.count() <= most:
        return placed
    first = validation.orderBy(F.sha2("product_id", 256)).limit(most).select("product_id")
    first = first.withColumn("is_first", F.lit(True))
    beyond = (F.col("split") == F.lit(split.VALIDATION)) & F.col("is_first").isNull()
    joined = placed.join(first.hint(JOIN), "product_id", "left")
    reasons = F.coalesce("left_out", F.when(beyond, F.lit(BEYOND)))
    return joined.select(*(reasons.alias(name) if name == "left_out" else F.col(name) for name in placed.columns))
