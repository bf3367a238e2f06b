"""Decide for each accepted product: its row is carried over from the current snapshot, or scored, with a reason.

A product is carried if its fingerprint equals the published one. A result that an interrupted run staged is used if its
fingerprint equals the planned one. So one comparison serves to resume a run and to score only changes.

The rows have no photos. They are small and kept on disk, so that every later step reads the same rows. `schema`
explains the terms, above `PLAN`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fashion_udf.pipeline import fingerprint
from fashion_udf.schema import NOT_A_FAILURE, PLAN, RETRY_EVERY_RUN, Action, Reason
from fashion_udf.spark import parallel

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Scope:
    """Which products a run processes, and which of them it scores although nothing changed.

    Attributes:
        selected: `product_id` of the products to process; all others are carried. None means the whole catalog.
        forced: score every processed product.
        retry_failed: score failed products, even if nothing changed.
        recheck_photos: ask the hosts whether photos were replaced under their URL.
    """

    selected: DataFrame | None = None
    forced: bool = False
    retry_failed: bool = False
    recheck_photos: bool = False


@dataclass(frozen=True)
class PlanCounts:
    """Counts of the rows by action."""

    accepted: int = 0
    carried: int = 0
    resting: int = 0  # carried rows whose photo was unreachable on too many nights
    staged: int = 0  # rows with a result of an interrupted run
    scored_before: int = 0  # rows with a result of an earlier plan of this run; rows of one fingerprint count once
    removed: int = 0  # published products that left the catalog
    to_score: int = 0  # rows of one fingerprint count once
    duplicates: int = 0  # rows that share a fingerprint with a row that this run scores, or has scored
    with_photo: int = 0  # rows to score that have a photo
    largest_photo: int = 0  # bytes, of the rows to score; 0 if the plan did not look at photos
    photo_bytes: int = 0  # of the rows to score; 0 if the plan did not look at photos
    files: dict[str | None, int] = field(default_factory=dict)  # rows to score, by file
    reasons: dict[str, int] = field(default_factory=dict)  # rows that are not carried, by reason
    catalog: dict[str, int] = field(default_factory=dict)  # accepted rows, by what they hold

    @property
    def scored(self) -> int:
        """Number of rows that are not carried: with a result of this run or of an interrupted one."""
        return self.to_score + self.duplicates + self.staged + self.scored_before


def with_actions(rows: DataFrame, previous: DataFrame, results: DataFrame, scope: Scope, max_nights: int) -> DataFrame:
    """Decide what to do with every row of the catalog.

    Args:
        rows, previous: the result of `fingerprint.with_fingerprints`, with `failed_nights`; the published table.
        results: the staged results, from `usable_results`.
        scope, max_nights: of the run. After so many nights, a published row with an unreachable photo rests.

    Returns:
        The columns of `PLAN`.
    """
    from pyspark.sql import functions as F

    published = previous.select("product_id", *(F.col(name).alias(f"old_{name}") for name in _PUBLISHED))
    staged = results.select("for_fingerprint", "unchanged", "image_sha256", "run_id")
    staged = staged.toDF("fingerprint", "unchanged", "staged_sha256", "staged_by")
    joined = rows.join(published, on="product_id", how="left").join(staged, on="fingerprint", how="left")
    again = F.lit(scope.forced) | _failed(F.col("old_status"), scope.retry_failed)
    recheck = F.lit(scope.recheck_photos) & F.col("by_url")
    same = (F.col("fingerprint") == F.col("old_fingerprint")) & ~again
    tried_enough = F.coalesce(F.col("failed_nights") >= F.lit(max_nights), F.lit(False))
    rests = tried_enough & F.col("old_status").isNotNull() & ~F.lit(scope.forced or scope.retry_failed)
    but_for_the_photo = ~_differs(fingerprint.text_part) & ~_differs(fingerprint.versions_part) & ~again
    same_photo = but_for_the_photo & F.col("unchanged") & (F.col("old_image_sha256") == F.col("staged_sha256"))
    action = (
        F.when(same & ~recheck, Action.CARRY.value)
        .when(same_photo | ~F.col("unchanged"), Action.STAGED.value)
        .when(rests, Action.REST.value)
        .otherwise(Action.SCORE.value)
    )
    known_validator = fingerprint.known_validator(F.col("old_image_validator"), F.col("old_tagged_at"))
    return joined.select(
        *rows.columns,
        action.alias("action"),
        F.when(~action.isin(Action.CARRY.value, Action.REST.value), _reason(scope)).alias("reason"),
        F.when(but_for_the_photo, F.col("old_image_sha256")).alias("known_sha256"),
        F.when(same & recheck, known_validator).alias("known_validator"),  # of this URL, and of no other
        "staged_by",
    ).select(*PLAN.names)


#: Columns of the published table that a plan reads.
_PUBLISHED = ("fingerprint", "status", "image_sha256", "image_validator", "tagged_at")


def _differs(part: Callable[[Column], Column]) -> Column:
    from pyspark.sql import functions as F

    return part(F.col("fingerprint")) != part(F.col("old_fingerprint"))


def _failed(status: Column, any_failure: bool) -> Column:
    """Return whether a published row is scored again because it failed; null for a row that is not published."""
    if any_failure:
        return ~status.isin(*(each.value for each in NOT_A_FAILURE))
    return status.isin(*(each.value for each in RETRY_EVERY_RUN))


def _reason(scope: Scope) -> Column:
    """Return why a row is scored: first a change in the catalog, then a new model, then a request of the user."""
    from pyspark.sql import functions as F

    return (
        F.when(F.col("old_fingerprint").isNull(), Reason.NEW.value)
        .when(_differs(fingerprint.image_part), Reason.IMAGE.value)
        .when(_differs(fingerprint.text_part), Reason.TEXT.value)
        .when(_differs(fingerprint.versions_part), Reason.MODEL.value)
        .when(_failed(F.col("old_status"), scope.retry_failed), Reason.RETRY.value)
        .when(F.lit(scope.recheck_photos), Reason.IMAGE.value)
        .otherwise(Reason.FORCED.value)
    )


def one_per_fingerprint(planned: DataFrame) -> DataFrame:
    """Return one row for each fingerprint to score. Rows with the same fingerprint share the result."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    same = Window.partitionBy("fingerprint")
    known = F.coalesce("known_sha256", F.lit(""))
    # The photo is known only if all rows of the fingerprint have the same sha256. Otherwise it is scored.
    agreed = F.when(F.min(known).over(same) == F.max(known).over(same), F.col("known_sha256"))
    return (
        planned.where(F.col("action") == F.lit(Action.SCORE.value))
        .withColumns({"known_sha256": agreed, "known_validator": F.min("known_validator").over(same)})
        .withColumn("_rank", F.row_number().over(same.orderBy("product_id")))
        .where(F.col("_rank") == F.lit(1))
        .drop("_rank")
    )


def usable_results(results: DataFrame, run_id: str, own_alone: bool) -> DataFrame:
    """Return the staged results that a run may use, each with the planned fingerprint of its rows.

    The run's own results belong to the rows that it planned. Results of other runs belong to the rows with the
    fingerprint that was really scored.

    Args:
        results: the columns of `RESULT`, of any runs.
        run_id: id of this run.
        own_alone: leave out the results of other runs, for a run that must score again.

    Returns:
        The columns of `RESULT`, and `for_fingerprint`, which is unique.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    own = F.col("run_id") == F.lit(run_id)
    lasting = ~F.col("status").isin(*(status.value for status in RETRY_EVERY_RUN)) | F.col("unchanged")
    usable = results.where(own if own_alone else own | lasting)
    for_fingerprint = F.when(own, F.col("planned_fingerprint")).otherwise(F.col("fingerprint"))
    named = usable.withColumn("for_fingerprint", for_fingerprint)
    best = Window.partitionBy("for_fingerprint").orderBy("unchanged", F.col("tagged_at").desc())
    return named.withColumn("_rank", F.row_number().over(best)).where(F.col("_rank") == F.lit(1)).drop("_rank")


def count(planned: DataFrame, published: int | None, run_id: str) -> PlanCounts:
    """Count the rows of `with_actions` by action and reason, and the published products to drop.

    Args:
        planned: the rows.
        published: number of rows of the published table; None if published rows outside of the plan stay.
        run_id: id of this run. Its earlier plans may have scored rows.
    """
    from pyspark.sql import functions as F

    # A run that plans again has results of its own, which do not count as those of an interrupted run.
    own = (F.col("action") == F.lit(Action.STAGED.value)) & (F.col("staged_by") == F.lit(run_id))
    by_action_and_reason = planned.groupBy("action", "reason", F.coalesce(own, F.lit(False)).alias("own"))
    counts = (
        by_action_and_reason.agg(F.count("*").alias("count"), *_held()).collect,
        _by_file(one_per_fingerprint(planned)).collect,
        planned.where(own).select("fingerprint").distinct().count,
    )
    groups, files, before = parallel.run_concurrently(planned.sparkSession.sparkContext, "plan", counts, len(counts))
    by_action, reasons = Counter[str](), Counter[str]()
    for row in groups:
        by_action["own" if row["own"] else row["action"]] += row["count"]
        if row["reason"]:
            reasons[row["reason"]] += row["count"]
    return PlanCounts(
        accepted=(accepted := by_action.total()),
        carried=by_action[Action.CARRY] + by_action[Action.REST],
        resting=by_action[Action.REST],
        staged=by_action[Action.STAGED],
        scored_before=before,
        removed=0 if published is None else published - (accepted - reasons[Reason.NEW]),
        to_score=(to_score := sum(file["rows"] for file in files)),
        duplicates=by_action[Action.SCORE] - to_score + by_action["own"] - before,
        with_photo=sum(file["with_photo"] for file in files),
        largest_photo=max((file["largest"] for file in files), default=0),
        photo_bytes=sum(file["bytes"] for file in files),
        files={file["file"]: file["rows"] for file in files},
        reasons=dict(reasons),
        catalog={name: sum(row[name] for row in groups) for name in HELD},
    )


#: Counts of all accepted rows, shown before and after a run.
HELD = ("rows_with_photo", "rows_with_text", "texts_not_utf8", "rows_with_more_photos")


def _held() -> list[Column]:
    from pyspark.sql import functions as F

    conditions = (F.col("has_photo"), F.col("has_text"), F.col("damaged_text"), F.col("further_photos") > F.lit(0))
    return [F.count_if(condition).alias(name) for name, condition in zip(HELD, conditions, strict=True)]


def _by_file(to_score: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    size = F.col("photo_bytes")
    return to_score.groupBy("file").agg(
        F.count("*").alias("rows"),
        F.count_if("has_photo").alias("with_photo"),
        F.coalesce(F.max(size), F.lit(0)).alias("largest"),
        F.coalesce(F.sum(size), F.lit(0)).alias("bytes"),
    )
