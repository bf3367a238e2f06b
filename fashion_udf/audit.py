"""The audit: what the gates look at, counted in the next table and in the published one."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fashion_udf.schema import EMBEDDING_SIZE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

#: A published embedding has unit length; half precision in between costs less than this.
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Audit:
    """What was counted in the next table, against the published one."""

    rows: int
    ids: int
    bad_embeddings: int
    statuses: dict[str, int]
    decisions: dict[str, int]
    modalities: dict[str, int]
    categories: dict[str, int]
    previous_rows: int | None  # None where nothing was published
    previous_categories: dict[str, int]
    flips: dict[tuple[str, str], int]  # (from, to) -> rows that are in both tables and changed their category
    common: int  # rows in both tables

    def as_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` holds."""
        flips = [{"from": old, "to": new, "rows": rows} for (old, new), rows in largest(self.flips)]
        return {**asdict(self), "flips": flips}


def audit(table: DataFrame, previous: DataFrame | None) -> Audit:
    """Count what the gates look at.

    Args:
        table: the next table, with the columns of `TAGS`.
        previous: the published one; None for the first.
    """
    totals = _totals(table)
    groups = _grouped(table, previous)
    before = _counts(previous.groupBy("category").count().collect(), "category") if previous is not None else None
    common = [group for group in groups if group["common"]]
    flips = Counter[tuple[str, str]]()
    for group in common:
        if group["old"] != group["category"]:
            flips[str(group["old"]), str(group["category"])] += group["count"]
    return Audit(
        rows=totals["rows"],
        ids=totals["ids"],
        bad_embeddings=totals["bad"],
        statuses=_named(_counts(groups, "status")),
        decisions=_named(_counts(groups, "decision")),
        modalities=_named(_counts(groups, "modality")),
        categories=_named(_counts(groups, "category")),
        previous_rows=before.total() if before is not None else None,
        previous_categories=_named(before or Counter()),
        flips=dict(flips),
        common=sum(group["count"] for group in common),
    )


def _totals(table: DataFrame) -> Row:
    from pyspark.sql import functions as F

    squares = F.aggregate("embedding", F.lit(0.0), lambda total, value: total + value * value)
    # NaN is larger than every number to Spark, so it is outside the interval as well.
    good = (F.size("embedding") == F.lit(EMBEDDING_SIZE)) & F.abs(F.sqrt(squares) - F.lit(1.0)).between(
        0.0, NORM_TOLERANCE
    )
    totals = table.agg(
        F.count("*").alias("rows"),
        F.countDistinct("product_id").alias("ids"),
        # Null where a number is missing, which is no good embedding either.
        F.count_if(F.col("embedding").isNotNull() & ~F.coalesce(good, F.lit(False))).alias("bad"),
    ).first()
    assert totals is not None  # an aggregate without groups has one row
    return totals


def _grouped(table: DataFrame, previous: DataFrame | None) -> list[Row]:
    """Count rows by everything that gates compare, in one pass: a query for each takes longer than all of the rows.

    Returns:
        `status`, `decision`, `modality`, `category`, `common` (also in the published table, or null), `old` (the
        published category), `count`.
    """
    from pyspark.sql import functions as F

    columns = ["status", "decision", "modality", "category"]
    if previous is None:
        table = table.select(*columns, F.lit(None).alias("common"), F.lit(None).alias("old"))
    else:
        old = previous.select("product_id", F.lit(True).alias("common"), F.col("category").alias("old"))
        table = table.select("product_id", *columns).join(old, on="product_id", how="left")
    return table.groupBy(*columns, "common", "old").count().collect()


def _counts(groups: list[Row], column: str) -> Counter[str | None]:
    counts: Counter[str | None] = Counter()
    for group in groups:
        counts[group[column]] += group["count"]
    return counts


def _named(counts: Counter[str | None]) -> dict[str, int]:
    """Leave out the rows that have no value."""
    return {name: rows for name, rows in counts.items() if name is not None}


def largest(counts: dict[Any, int]) -> list[tuple[Any, int]]:
    """Return the counts, the largest first."""
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
