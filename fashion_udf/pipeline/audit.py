"""The audit: counts of the next table and of the published one, for the gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashion_udf.schema import EMBEDDING_SIZE, NOT_A_FAILURE, CategorySource, Modality
from fashion_udf.spark import parallel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

#: Maximum difference of an embedding's length from 1. Half precision causes less than this.
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Audit:
    """Counts of the next table, and of the published one for comparison."""

    rows: int
    ids: int
    bad_embeddings: int
    statuses: dict[str, int]
    decisions: dict[str, int]
    modalities: dict[str, int]
    categories: dict[str, int]
    previous_rows: int | None  # None if nothing was published
    previous_categories: dict[str, int]
    flips: dict[tuple[str, str], int]  # (from, to) -> rows in both tables whose category changed
    common: int  # rows in both tables
    overrides: list[dict[str, object]]  # how often people agreed, by model version and the model's category
    without_category: int = 0
    without_input: int = 0  # rows with neither text nor photo, and without another failure
    decided_before: int = 0  # rows in both tables that were published with a person's category
    withdrawn: int = 0  # those of them whose category is no longer a person's
    bad_texts: int = 0  # texts that are not UTF-8, which no reader can open

    def as_dict(self) -> dict[str, Any]:
        """Return the part of the audit in `metrics.json`."""
        flips = [{"from": old, "to": new, "rows": rows} for (old, new), rows in largest(self.flips)]
        return {**asdict(self), "flips": flips}


def audit(table: DataFrame, previous: DataFrame | None) -> Audit:
    """Count the figures that the gates check.

    Args:
        table: the next table, with the columns of `TAGS`.
        previous: the published table; None if there is none.
    """
    counts = (partial(_totals, table), partial(_grouped, table, previous), partial(bad_values, table))
    context = table.sparkSession.sparkContext
    totals, joined, (bad, texts) = parallel.run_concurrently(context, "audit", counts, len(counts))
    groups = [group for group in joined if group["is_new"]]
    before = _counts((group for group in joined if group["is_old"]), "old")
    common = [group for group in groups if group["is_old"]]
    flips = Counter[tuple[str, str]]()
    for group in common:
        if group["old"] != group["category"]:
            flips[str(group["old"]), str(group["category"])] += group["count"]
    return Audit(
        rows=totals["rows"],
        ids=totals["ids"],
        bad_embeddings=bad,
        statuses=_named(_counts(groups, "status")),
        decisions=_named(_counts(groups, "decision")),
        modalities=_named(_counts(groups, "modality")),
        categories=_named(_counts(groups, "category")),
        previous_rows=None if previous is None else before.total(),
        previous_categories=_named(before),
        flips=dict(flips),
        common=_rows(common),
        overrides=_acceptance(groups),
        without_category=_rows(group for group in groups if group["category"] is None),
        without_input=_rows(group for group in groups if group["modality"] == Modality.NONE and _is_sound(group)),
        decided_before=_rows(group for group in common if group["old_decided"]),
        withdrawn=_rows(group for group in common if group["old_decided"] and not _is_decided(group)),
        bad_texts=texts,
    )


def _rows(groups: Iterable[Row]) -> int:
    return sum(group["count"] for group in groups)


def _is_sound(group: Row) -> bool:
    return group["status"] in NOT_A_FAILURE


def _is_decided(group: Row) -> bool:
    return bool(group["category_source"] == CategorySource.OVERRIDE)


def bad_values(table: DataFrame) -> tuple[int, int]:
    """Count invalid embeddings and texts. Python workers do this faster than Spark's `aggregate`.

    Args:
        table: rows with a column `embedding`. Other columns of lists and structs are not checked.

    Returns:
        The counts of `bad_embeddings` and `bad_texts`.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType

    texts = [field.name for field in table.schema.fields if isinstance(field.dataType, StringType)]
    counted = table.select("embedding", *texts).mapInArrow(_count_bad_values, "embeddings long, texts long")
    totals = counted.agg(F.sum("embeddings").alias("embeddings"), F.sum("texts").alias("texts")).first()
    assert totals is not None  # an aggregate without groups has one row
    return totals["embeddings"] or 0, totals["texts"] or 0


def _count_bad_values(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        bad = {"embeddings": [bad_embeddings(batch.column("embedding"))], "texts": [bad_texts(batch)]}
        yield pa.RecordBatch.from_pydict(bad)


def bad_embeddings(embeddings: pa.ListArray) -> int:
    """Count the embeddings that are no unit vectors of `EMBEDDING_SIZE` numbers. A null embedding is valid."""
    there = embeddings.drop_null()
    return len(there) - _unit_vectors(there)


def bad_texts(batch: pa.RecordBatch) -> int:
    """Count the texts that are not UTF-8. Spark writes such bytes unchanged, and no other reader opens the file."""
    count = 0
    for column in batch.columns:
        if not pa.types.is_string(column.type):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            count += sum(not _is_utf_8(value) for value in column.cast(pa.binary()).to_pylist())
    return count


def _is_utf_8(value: bytes | None) -> bool:
    try:
        return value is None or bool(value.decode("utf-8") or True)
    except UnicodeDecodeError:
        return False


def _unit_vectors(embeddings: pa.ListArray) -> int:
    whole = embeddings.filter(pc.equal(embeddings.value_lengths(), EMBEDDING_SIZE))
    # A null becomes NaN, which fails every tolerance. float64, because squares of large numbers overflow in float32.
    numbers = whole.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    vectors = numbers.reshape(-1, EMBEDDING_SIZE)
    return int(np.count_nonzero(np.abs(np.linalg.norm(vectors, axis=1) - 1.0) <= NORM_TOLERANCE))


def _totals(table: DataFrame) -> Row:
    from pyspark.sql import functions as F

    totals = table.agg(F.count("*").alias("rows"), F.countDistinct("product_id").alias("ids")).first()
    assert totals is not None  # an aggregate without groups has one row
    return totals


def _grouped(table: DataFrame, previous: DataFrame | None) -> list[Row]:
    """Count rows by all columns that the gates compare, in one pass instead of a query for each column.

    If an id is twice in the next table, its published row counts twice. The gate `ledger` refuses such a table.

    Returns:
        `_GROUPED`, `is_new` and `is_old` (whether such rows are in the next and in the published table, or null), `old`
        (the published category), `old_decided` (whether it is a person's), `count`.
    """
    from pyspark.sql import functions as F

    table = table.select("product_id", *_GROUPED, F.lit(True).alias("is_new"))
    if previous is None:
        joined = table.withColumns({name: F.lit(None) for name in ("is_old", "old", "old_decided")})
    else:
        decided = F.col("category_source") == F.lit(CategorySource.OVERRIDE.value)
        old = previous.select(
            "product_id", F.lit(True).alias("is_old"), F.col("category").alias("old"), decided.alias("old_decided")
        )
        joined = table.join(old, on="product_id", how="full")
    return joined.groupBy(*_GROUPED, "is_new", "is_old", "old", "old_decided").count().collect()


_GROUPED = ("status", "decision", "modality", "category", "category_source", "model_category", "model_version")


def _acceptance(groups: list[Row]) -> list[dict[str, object]]:
    decided, agreed = Counter[tuple[str, str | None]](), Counter[tuple[str, str | None]]()
    for group in groups:
        if _is_decided(group):
            model = (group["model_version"], group["model_category"])
            decided[model] += group["count"]
            agreed[model] += group["count"] * (group["category"] == group["model_category"])
    ordered = sorted(decided, key=lambda model: (model[0], model[1] or ""))
    return [
        {"model_version": model[0], "model_category": model[1], "decided": decided[model], "agreed": agreed[model]}
        for model in ordered
    ]


def _counts(groups: Iterable[Row], column: str) -> Counter[str | None]:
    counts: Counter[str | None] = Counter()
    for group in groups:
        counts[group[column]] += group["count"]
    return counts


def _named(counts: Counter[str | None]) -> dict[str, int]:
    """Return the counts without rows that have no value."""
    return {name: rows for name, rows in counts.items() if name is not None}


def largest(counts: dict[Any, int]) -> list[tuple[Any, int]]:
    """Return the counts, the largest first."""
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
