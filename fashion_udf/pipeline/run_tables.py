"""Tables of a run for people: what changed, what failed, and what waits for a person's decision.

runs/<run_id>/changes.parquet    products whose category changed, and why they were scored
runs/<run_id>/failures.parquet   rows of the table with a failure, and its detail
runs/<run_id>/review.parquet     rows of this run that wait for a person, and why, least certain first
runs/<run_id>/unchanged.parquet  products that were processed and keep their published row, and why
runs/<run_id>/unreadable.parquet products of this run whose text is unknown to the model's tokenizer
runs/<run_id>/retries.parquet    products whose photo was unreachable, and the number of nights
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from fashion_udf.pipeline import written
from fashion_udf.schema import NOT_A_FAILURE, CategorySource, Decision, Modality
from fashion_udf.spark import parallel
from fashion_udf.table import data_files
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


#: Causes of a row in the review queue: nothing could be scored, the product has no known category, or the model is not
#: sure which category it has.
NOT_SCORED, NOVELTY, CONFIDENCE = "not_scored", "novelty", "confidence"


def write(
    directory: Location,
    table: DataFrame | None,
    previous: DataFrame,
    looked_at: Mapping[str, DataFrame],
    run_id: str,
    novelty_limits: Mapping[str, float],
) -> tuple[dict[str, int], int]:
    """Write the tables.

    Args:
        directory: directory of the run's reports.
        table: the next table, with the columns of `TAGS`. None if the published one stays; then the first three tables
            are not written.
        previous: the published table; empty if there is none.
        looked_at: `unchanged` and `unreadable`, from the functions of `assembly` with these names, and `retries`, from
            `retries.after`.
        run_id: id of this run.
        novelty_limits: by modality, the novelty above which no row is `auto`.

    Returns:
        Rows of `unchanged` by cause, and the number of rows of `unreadable`.
    """
    tables = dict(looked_at)
    if table is not None:
        tables |= {
            "changes": changed(table, previous),
            "failures": failed(table).select("product_id", "status", "error", "modality", "category", "tagged_at"),
            "review": to_review(table, run_id, novelty_limits),
        }
    writes = [partial(_write, rows, directory / f"{name}.parquet") for name, rows in tables.items()]
    parallel.run_concurrently(previous.sparkSession.sparkContext, "run tables", writes, len(writes))
    by_cause = Counter[str]()
    for file in _files(directory / "unchanged.parquet"):
        for batch in file.iter_batches(columns=["cause"]):
            counted = batch.column("cause").value_counts().to_pylist()
            by_cause.update({entry["values"]: entry["counts"] for entry in counted})
    return dict(by_cause), sum(file.metadata.num_rows for file in _files(directory / "unreadable.parquet"))


def failed(table: DataFrame) -> DataFrame:
    """Return the rows of a table with a failure, or with neither text nor photo."""
    from pyspark.sql import functions as F

    sound = F.col("status").isin(*(status.value for status in NOT_A_FAILURE))
    return table.where(~sound | (F.col("modality") == F.lit(Modality.NONE.value)))


def _write(rows: DataFrame, target: Location) -> None:
    target.store.delete_tree(target.key, math.inf)  # an earlier plan of this run may have written it
    written.write(rows.coalesce(1), target)


def _files(table: Location) -> Iterator[pq.ParquetFile]:
    for name in data_files.listed(table):
        with table.store.open(f"{table.key}/{name}") as file, pq.ParquetFile(file) as parquet:
            yield parquet


def to_review(table: DataFrame, run_id: str, novelty_limits: Mapping[str, float]) -> DataFrame:
    """Return the rows of a run that wait for a person's decision, least certain first. Arguments as for `write`.

    Returns:
        `product_id`, `category`, `confidence`, `decision`, `cause`, `novelty`, `parent_category`, `parent_decision`,
        `top_categories`.
    """
    from pyspark.sql import functions as F

    waiting = table.where(
        (F.col("run_id") == F.lit(run_id))
        & (F.col("decision") != F.lit(Decision.AUTO.value))
        & (F.col("category_source") != F.lit(CategorySource.OVERRIDE.value))
    )
    limits = F.create_map(*(F.lit(word) for pair in novelty_limits.items() for word in pair))
    cause = (
        F.when(F.col("model_category").isNull(), NOT_SCORED)
        .when(F.col("novelty") > limits[F.col("modality")], NOVELTY)
        .otherwise(CONFIDENCE)
    )
    facts = ("novelty", "parent_category", "parent_decision", "top_categories")
    ordered = waiting.orderBy(F.col("confidence").asc_nulls_first(), "product_id")
    return ordered.select("product_id", "category", "confidence", "decision", cause.alias("cause"), *facts)


def changed(table: DataFrame, previous: DataFrame) -> DataFrame:
    """Return the products in both tables whose category changed.

    Returns:
        `product_id`, `from`, `to`, `confidence`, and `cause`: the reason the row was scored, or `override`.
    """
    from pyspark.sql import functions as F

    old = previous.select("product_id", F.col("category").alias("from"), F.col("category_source").alias("old_source"))
    source, override = F.col("category_source"), F.lit(CategorySource.OVERRIDE.value)
    by_hand = (source == override) | (F.col("old_source") == override)
    return (
        table.join(old, on="product_id", how="inner")
        .where(~F.col("from").eqNullSafe(F.col("category")))
        .select(
            "product_id",
            "from",
            F.col("category").alias("to"),
            "confidence",
            F.when(by_hand, override).otherwise(F.col("reason")).alias("cause"),
        )
    )
