"""The plan, the published table and the results to the next table; label stability is applied here.

Unchanged rows are read from the published table and written again by Spark; none passes through Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fashion_udf.model.taxonomy import Taxonomy
from fashion_udf.pipeline import written
from fashion_udf.pipeline.overriding import confidence_of, parent_of
from fashion_udf.pipeline.retries import could_not_be_had
from fashion_udf.schema import RETRY_EVERY_RUN, TAGS, Action, CategorySource, Reason
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: One file holds about this many bytes: few for a reader to open, and enough for every core to write one.
FILE_BYTES = 64_000_000
PARQUET = {
    # Size of a row group, which one task reads: with Parquet's 128 MB one core copied a table of 100,000 rows.
    "parquet.block.size": "16000000",
    # Embeddings do not repeat: building a dictionary of them took a tenth of the time.
    "parquet.enable.dictionary#embedding.list.element": "false",
}

#: Up to this many ids are broadcast to every task (a hundred bytes each in its hash table). More ids are sorted and
#: merged with the whole published table: with 1,000 changed of 1,000,000 rows that shuffle of 2.2 GB took 13 s of 53.
FEW_ROWS = 500_000

#: Cause of an unchanged row: its photo has another version, date or address, and the same bytes.
SAME_PHOTO = "same_photo"


@dataclass(frozen=True)
class Stability:
    """How far a new model alone may change what is published.

    Attributes:
        margin: a new model changes a category only if the confidence of the new category is above the confidence of the
            published one by more than this; None: always.
        taxonomy: of the new model; gives the family of a category that is kept.
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
        planned: as `comparison.with_actions` gives it.
        previous: the published table, with the columns of `TAGS`.
        results: as `comparison.usable_results` gives them.
        removed: `product_id` of the published products to drop.
        stability: of the categories that are published.
        left_rows: number of rows of `planned` that are not carried, and of `removed`.

    Returns:
        The columns of `TAGS`; a product without a result is missing, and the row ledger detects that.
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
    # One pass over the results with their embeddings; a union of unchanged and scored rows makes two.
    columns = (F.when(_is_unchanged(), stays[name]).otherwise(scored[name]).alias(name) for name in TAGS.names)
    return unchanged_rows.select(*TAGS.names).unionByName(joined.select(*columns))


def unchanged(planned: DataFrame, previous: DataFrame, results: DataFrame) -> DataFrame:
    """Return the products that were looked at and stay as they are published.

    Args:
        planned: as `comparison.with_actions` gives it.
        previous: the published table, with the columns of `TAGS`.
        results: as `comparison.usable_results` gives them.

    Returns:
        `product_id`, `cause` (`SAME_PHOTO`, or the status of a failure that may be over by the next night), `error`.
    """
    from pyspark.sql import functions as F

    cause = F.when(F.col("new.unchanged"), SAME_PHOTO).otherwise(F.col("new.status"))
    joined = _old_and_new(_changed(planned), previous, results).where(_is_unchanged())
    return joined.select("product_id", cause.alias("cause"), F.col("new.error").alias("error"))


def leaves_all(planned: DataFrame, previous: DataFrame, results: DataFrame) -> bool:
    """Whether every product that was looked at stays as it is published, so that the next table is the published one.

    Args:
        planned, results: as `comparison.with_actions`, without products to drop, and `usable_results` give them.
        previous: the published table, with the columns of `TAGS`.
    """
    from pyspark.sql import functions as F

    found = results.select("for_fingerprint", (could_not_be_had() | F.col("unchanged")).alias("may_stay"))
    with_result = _changed(planned).join(found, on="for_fingerprint", how="left")
    # Asked first, as most nights end here: this reads no published row.
    if not with_result.where(~F.coalesce("may_stay", F.lit(False))).isEmpty():
        return False
    known = F.col("old.fingerprint") == F.col("new.fingerprint")  # or the row gets the photo's new identity
    stays = F.coalesce(_is_unchanged() & (known | ~F.col("new.unchanged")), F.lit(False))
    return _old_and_new(_changed(planned), previous, results).where(~stays).isEmpty()


def unreadable(planned: DataFrame, results: DataFrame) -> DataFrame:
    """Return the products that were scored though the tokenizer cannot read their text.

    Args:
        planned: as `comparison.with_actions` gives it.
        results: as `comparison.usable_results` gives them; a result of release 0.1 says nothing of its text.

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
    """Return the changed rows that have a result, with the published row in `old` and the result in `new`."""
    from pyspark.sql import functions as F

    before = previous.select("product_id", F.struct(*TAGS.names).alias("old"))
    after = results.select("for_fingerprint", F.struct(*results.columns).alias("new"))
    return changed_rows.join(after, on="for_fingerprint", how="inner").join(before, on="product_id", how="left")


def _is_unchanged() -> Column:
    """Whether the published row stays, from `old` and `new`: its photo is the same, or the failure may pass.

    A good row stays. So does a failed one that has failed once more, or the table would change each night.
    """
    from pyspark.sql import functions as F

    retried = [status.value for status in RETRY_EVERY_RUN]
    once_more = F.col("old.fingerprint") == F.col("new.fingerprint")
    stays = F.coalesce(~F.col("old.status").isin(*retried) | once_more, F.lit(False))
    # After a failure the row keeps its old fingerprint, so the next run tries again.
    return F.col("new.unchanged") | (F.col("new.status").isin(*retried) & stays)


def _unchanged() -> dict[str, Column]:
    """Return the columns of a row that stays, from `old` and `new`."""
    from pyspark.sql import functions as F

    fingerprint = F.when(F.col("new.unchanged"), F.col("new.fingerprint")).otherwise(F.col("old.fingerprint"))
    return {**{name: F.col(f"old.{name}") for name in TAGS.names}, "fingerprint": fingerprint}


def _scored(stability: Stability) -> dict[str, Column]:
    """Return the columns of a row that was scored, from `old`, `new` and `planned_reason`."""
    from pyspark.sql import functions as F

    columns = {name: F.col(f"new.{name}") for name in TAGS.names if name in _OF_RESULT}
    columns |= {"product_id": F.col("product_id"), "reason": F.col("planned_reason")}
    published = F.when(
        F.col("old.category_source") == F.lit(CategorySource.OVERRIDE.value), F.col("old.model_category")
    )
    published = published.otherwise(F.col("old.category"))
    kept = F.lit(False)
    if stability.margin is not None:
        # Only the top categories have a confidence. Without one, the model has moved far from the published category.
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
    """Return the columns of the family: the model's, but where a category is kept that is of another family."""
    from pyspark.sql import functions as F

    other = kept & ~of_kept.eqNullSafe(F.col("new.parent_category"))
    in_place = {"parent_category": of_kept, "parent_confidence": confidence, "parent_decision": F.col("new.decision")}
    return {name: F.when(other, column).otherwise(F.col(f"new.{name}")) for name, column in in_place.items()}


#: Columns of a scored row that are taken from its result as they are.
_OF_RESULT = (
    "model_category",
    "decision",
    "top_categories",
    "novelty",
    "attributes",
    "embedding",
    "modality",
    "status",
    "error",
    "fingerprint",
    "image_sha256",
    "model_version",
    "run_id",
    "tagged_at",
)


def write(table: DataFrame, size: int, target: Location) -> tuple[DataFile, ...]:
    """Write the next table in files of a good size, and return their facts.

    Args:
        table: the columns of `TAGS`.
        size: bytes of the Parquet files that the rows come from: about the bytes to write.
        target: a new directory.
    """
    return written.write_described(table.coalesce(max(1, round(size / FILE_BYTES))), target, PARQUET)
