"""The fixed split of labelled products into train, validation and test.

The unit is a group: products connected by an identical photo (sha256) or the same normalised title, so that no test
photo or title was seen in training. Within each category, the groups are ordered by the sha256 of their smallest
product id, and cut at 80 % and 90 % of the category's products. The rule and its constants never change, so that
accuracies of different releases are comparable.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import components

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")
TRAIN_SHARE = 0.8
VALIDATION_SHARE = 0.1


def normalised_title(title: str | None) -> str | None:
    """Return the title for comparisons: NFKC, case folded, white space collapsed; None for a blank title."""
    words = unicodedata.normalize("NFKC", title or "").casefold().split()
    return " ".join(words) or None


def assign(products: DataFrame) -> DataFrame:
    """Assign every product to a split, without collecting products on the driver.

    Args:
        products: string columns `product_id` (unique), `normalised_title`, `category` and `image_sha256`; title and
            photo may be null.

    Returns:
        Columns `product_id` and `split`: `train`, `validation` or `test`.

    Raises:
        CatalogError: the groups have too long chains of photos and titles.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    grouped = _grouped(products).localCheckpoint()
    # A group with several labels (some labels are wrong) counts for the category of its smallest id.
    groups = grouped.groupBy("smallest").agg(
        F.count("*").alias("members"),
        F.max(F.when(F.col("product_id") == F.col("smallest"), F.col("category"))).alias("category"),
    )
    of_category = Window.partitionBy("category")
    earlier = of_category.orderBy(F.sha2("smallest", 256)).rowsBetween(Window.unboundedPreceding, -1)
    before = F.coalesce(F.sum("members").over(earlier), F.lit(0))
    share = before / F.sum("members").over(of_category)
    name = (
        F.when(share < F.lit(TRAIN_SHARE), TRAIN)
        .when(share < F.lit(TRAIN_SHARE + VALIDATION_SHARE), VALIDATION)
        .otherwise(TEST)
    )
    return grouped.join(groups.select("smallest", name.alias("split")).hint(components.JOIN), "smallest").select(
        "product_id", "split"
    )


def digest(product_ids: Sequence[str], splits: Sequence[str]) -> str:
    """Return a sha256 that identifies an assignment, for any order of the rows."""
    lines = sorted(f"{product_id},{split}\n" for product_id, split in zip(product_ids, splits, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _grouped(products: DataFrame) -> DataFrame:
    """Add the column `smallest`: the smallest product id of each product's group."""
    from pyspark.sql import functions as F

    edges = None
    for key in ("normalised_title", "image_sha256"):
        keyed = products.where(F.col(key).isNotNull())
        first = keyed.groupBy(key).agg(F.min("product_id").alias("first"))
        found = keyed.select("product_id", key).join(first.hint(components.JOIN), key).select("product_id", "first")
        edges = found if edges is None else edges.unionByName(found)
    assert edges is not None
    smallest = components.smallest_of_component(edges).withColumnRenamed("node", "product_id")
    joined = products.select("product_id", "category").join(smallest.hint(components.JOIN), "product_id", "left")
    return joined.withColumn("smallest", F.coalesce("smallest", "product_id"))
