"""Build the next table from the plan, the published table and the results, with label stability.

Spark copies unchanged rows from the published table. No unchanged row passes through Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fashion_udf.model.taxonomy import Taxonomy
from fashion_udf.pipeline import written
from fashion_udf.pipeline.overriding import confidence_of, parent_of
from fashion_udf.pipeline.retries import could_not_be_had
from fashion_udf.schema import RESULT, RETRY_EVERY_RUN, TAGS, Action, CategorySource, Reason
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Approximate bytes of a file: readers open few files, and every core writes one.
FILE_BYTES = 64_000_000
PARQUET = {
    # One task reads a row group. With Parquet's default of 128 MB, a table of 100,000 rows would occupy one core.
    "parquet.block.size": "16000000",
    # Embeddings do not repeat, so building a dictionary of them only takes time.
    "parquet.enable.dictionary#embedding.list.element": "false",
}

#: Maximum of ids that are broadcast to every task (about 100 bytes each). With more ids, Spark shuffles the whole
#: published table.
FEW_ROWS = 500_000

#: Cause of an unchanged row: the photo has another version, time or address, but the same bytes.
SAME_PHOTO = "same_photo"


@dataclass(frozen=True)
class Stability:
    """When a new model may change a published category.

    Attributes:
        margin: where only the model changed, a category changes only if its confidence exceeds that of the published
            category by more than this. None means no margin.
        taxonomy: the taxonomy of the new model. It gives the family of a category that is kept.
    """

    margin: float | None
    taxonomy: Taxonomy


def assemble(
    planned: DataFrame,
    previous: DataFrame,
    results: DataFrame,
    removed: DataFrame,
    stability: Stability,
    left_rows: int,
) -> DataFrame:
    """Return the next table, before overrides.

    Args:
        planned: the result of `comparison.with_actions`.
        previous: the published table, with the columns of `TAGS`.
        results: the result of `comparison.usable_results`.
        removed: `product_id` of the published products to drop.
        stability: the rule of label stability.
        left_rows: number of rows of `planned` that are not carried, and of `removed`.

    Returns:
        The columns of `TAGS`. A product without a result is missing, which the gate `ledger` detects.
    """
    from pyspark.sql import functions as F

    changed_rows = _changed(planned)
    left = changed_rows.select("product_id").unionByName(removed.select("product_id"))
    published = previous
    if left_rows <= FEW_ROWS:
        left = F.broadcast(left)
        published = previous.join(left, on="product_id", how="left_semi")
    unchanged_rows = previous.join(left, on="product_id", how="left_anti")
    joined = _old_and_new(changed_rows, published, results)
    stays, scored = _unchanged(), _scored(stability)
    # One pass over the results with their embeddings. A union of unchanged and scored rows would need two.
    columns = (F.when(_is_unchanged(), stays[name]).otherwise(scored[name]).alias(name) for name in TAGS.names)
    return unchanged_rows.select(*TAGS.names).unionByName(joined.select(*columns))


def unchanged(planned: DataFrame, previous: DataFrame, results: DataFrame) -> DataFrame:
    """Return the products that were processed and keep their published row.

    Args:
        planned: the result of `comparison.with_actions`.
        previous: the published table, with the columns of `TAGS`.
        results: the result of `comparison.usable_results`.

    Returns:
        `product_id`, `cause` (`SAME_PHOTO`, or the status of a failure that may be over by the next night), `error`.
    """
    from pyspark.sql import functions as F

    cause = F.when(F.col("new.unchanged"), SAME_PHOTO).otherwise(F.col("new.status"))
    joined = _old_and_new(_changed(planned), previous, results).where(_is_unchanged())
    return joined.select("product_id", cause.alias("cause"), F.col("new.error").alias("error"))


def leaves_all(planned: DataFrame, previous: DataFrame, results: DataFrame) -> bool:
    """Return whether every processed product keeps its published row, so that the next table is the published one.

    Args:
        planned: the result of `comparison.with_actions`, without products to drop.
        previous: the published table, with the columns of `TAGS`.
        results: the result of `comparison.usable_results`.
    """
    from pyspark.sql import functions as F

    found = results.select("for_fingerprint", (could_not_be_had() | F.col("unchanged")).alias("may_stay"))
    with_result = _changed(planned).join(found, on="for_fingerprint", how="left")
    # This check is first, because it reads no published row and decides on most nights.
    if not with_result.where(~F.coalesce("may_stay", F.lit(False))).isEmpty():
        return False
    known = F.col("old.fingerprint") == F.col("new.fingerprint")  # otherwise the row gets the photo's new identity
    # Or its first validator. Another one alone is no news: the machines of a host may not agree on it.
    known &= F.col("old.image_validator").isNotNull() | F.col("new.image_validator").isNull()
    stays = F.coalesce(_is_unchanged() & (known | ~F.col("new.unchanged")), F.lit(False))
    return _old_and_new(_changed(planned), previous, results).where(~stays).isEmpty()


def unreadable(planned: DataFrame, results: DataFrame) -> DataFrame:
    """Return the scored products whose text the tokenizer cannot read.

    Args:
        planned: the result of `comparison.with_actions`.
        results: the result of `comparison.usable_results`. Results of release 0.1 do not have this fact.

    Returns:
        `product_id`, `modality`.
    """
    from pyspark.sql import functions as F

    found = results.where(F.col("text_unreadable") & ~F.col("unchanged")).select("for_fingerprint", "modality")
    return _changed(planned).join(found, on="for_fingerprint", how="inner").select("product_id", "modality")


def _changed(planned: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return planned.where(~F.col("action").isin(Action.CARRY.value, Action.REST.value)).select(
        "product_id", F.col("fingerprint").alias("for_fingerprint"), F.col("reason").alias("planned_reason")
    )


def _old_and_new(changed_rows: DataFrame, previous: DataFrame, results: DataFrame) -> DataFrame:
    """Return the changed rows that have a result; `old` is the published row, `new` the result."""
    from pyspark.sql import functions as F

    before = previous.select("product_id", F.struct(*TAGS.names).alias("old"))
    after = results.select("for_fingerprint", F.struct(*results.columns).alias("new"))
    return changed_rows.join(after, on="for_fingerprint", how="inner").join(before, on="product_id", how="left")


def _is_unchanged() -> Column:
    """Return whether the published row stays, from `old` and `new`: its photo is the same, or the failure may pass.

    A good row stays. A failed row that fails again stays too; otherwise the table would change each night.
    """
    from pyspark.sql import functions as F

    retried = [status.value for status in RETRY_EVERY_RUN]
    once_more = F.col("old.fingerprint") == F.col("new.fingerprint")
    stays = F.coalesce(~F.col("old.status").isin(*retried) | once_more, F.lit(False))
    # After a failure the row keeps its old fingerprint, so that the next run tries again.
    return F.col("new.unchanged") | (F.col("new.status").isin(*retried) & stays)


def _unchanged() -> dict[str, Column]:
    """Return the columns of a row that stays, from `old` and `new`."""
    from pyspark.sql import functions as F

    stays = {name: F.col(f"old.{name}") for name in TAGS.names}
    for name in ("fingerprint", "image_validator"):  # what is new of the same photo
        stays[name] = F.coalesce(F.when(F.col("new.unchanged"), F.col(f"new.{name}")), stays[name])
    return stays


def _scored(stability: Stability) -> dict[str, Column]:
    """Return the columns of a row that was scored, from `old`, `new` and `planned_reason`."""
    from pyspark.sql import functions as F

    columns = {name: F.col(f"new.{name}") for name in TAGS.names if name in RESULT.names}
    columns |= {"product_id": F.col("product_id"), "reason": F.col("planned_reason")}
    published = F.when(
        F.col("old.category_source") == F.lit(CategorySource.OVERRIDE.value), F.col("old.model_category")
    )
    published = published.otherwise(F.col("old.category"))
    kept = F.lit(False)
    if stability.margin is not None:
        # Only the top categories have a confidence. A published category without one is far from the new model's.
        lead = F.col("new.confidence") - confidence_of(published, F.col("new.top_categories"))
        only_the_model = F.col("planned_reason") == F.lit(Reason.MODEL.value)
        other = published != F.col("new.model_category")
        kept = F.coalesce(only_the_model & other & (lead <= F.lit(stability.margin)), kept)
    category = F.when(kept, published).otherwise(F.col("new.model_category"))
    confidence = confidence_of(category, F.col("new.top_categories"))
    changed = ~F.col("old.category").eqNullSafe(category)
    return {
        **columns,
        "category": category,
        "category_source": F.when(kept, CategorySource.KEPT.value).otherwise(CategorySource.MODEL.value),
        "confidence": confidence,
        **_parent(kept, parent_of(published, stability.taxonomy), confidence),
        "previous_category": F.when(changed, F.col("old.category")),
    }


def _parent(kept: Column, of_kept: Column, confidence: Column) -> dict[str, Column]:
    """Return the columns of the family: the model's family, or that of a kept category from another family."""
    from pyspark.sql import functions as F

    other = kept & ~of_kept.eqNullSafe(F.col("new.parent_category"))
    in_place = {"parent_category": of_kept, "parent_confidence": confidence, "parent_decision": F.col("new.decision")}
    return {name: F.when(other, column).otherwise(F.col(f"new.{name}")) for name, column in in_place.items()}


def write(table: DataFrame, size: int, target: Location) -> tuple[DataFile, ...]:
    """Write the next table in files of about `FILE_BYTES`, and return their facts.

    Args:
        table: the columns of `TAGS`.
        size: approximate bytes to write.
        target: a new directory.
    """
    return written.write_described(table.coalesce(max(1, round(size / FILE_BYTES))), target, PARQUET)
