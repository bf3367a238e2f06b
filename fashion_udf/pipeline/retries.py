"""Count the nights on which a photo was unreachable. After a number of nights, the row rests.

    runs/<run_id>/retries.parquet    `RETRIES`: the products whose photo was unreachable

Every run that scores writes a new list, and the newest list counts. A product leaves the list when its photo is read,
or when its text, photo or model changes. If the list is lost, the count starts again. The counts are not in the tags
table, because a run in which a row only fails again must not publish a table.
"""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.schema import RETRIES, RETRY_EVERY_RUN, Action, to_spark
from fashion_udf.table import paths

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

logger = logging.getLogger(__name__)


def read(spark: SparkSession, output: str, but: str = "") -> DataFrame | None:
    """Return the newest list; None if there is none, or it is empty.

    Args:
        spark: the session.
        output: root of the output.
        but: id of a run whose list is ignored.

    Returns:
        The columns of `RETRIES`.
    """
    if (path := paths.newest_retries(output, but)) is None:
        return None
    try:
        with path.store.open(path.key) as file:
            if not pq.read_metadata(file).num_rows:
                return None
    except (pa.ArrowException, OSError) as error:
        logger.warning("%s is damaged and ignored: the count of nights starts again (%s)", path, error)
        return None
    return spark.read.schema(to_spark(RETRIES)).parquet(path.uri)


def with_failed_nights(rows: DataFrame, listed: DataFrame | None, night: date) -> DataFrame:
    """Add to each row the number of earlier nights on which its photo was unreachable.

    Args:
        rows: rows with `product_id` and `fingerprint`.
        listed: the result of `read`.
        night: the night of this run. Runs of one night count once, so that hourly runs do not rest rows too early.

    Returns:
        The columns of `rows`, and `failed_nights` (int32; null for none).
    """
    from pyspark.sql import functions as F

    if listed is None:
        return rows.withColumn("failed_nights", F.lit(None).cast("int"))
    tonight = F.coalesce(F.col("last_night") == F.lit(night), F.lit(False))
    nights = F.when(tonight, F.col("nights") - F.lit(1)).otherwise(F.col("nights"))
    before = listed.select("product_id", "fingerprint", nights.alias("failed_nights"))
    return rows.join(before, on=["product_id", "fingerprint"], how="left").select(*rows.columns, "failed_nights")


def after(planned: DataFrame, results: DataFrame, night: date, others: DataFrame | None) -> DataFrame:
    """Return the list after a run has scored.

    Args:
        planned: the result of `comparison.with_actions`.
        results: the result of `comparison.usable_results`.
        night: the night of this run.
        others: the list before a run that processed only some products; None for a run on the whole catalog.

    Returns:
        The columns of `RETRIES`.
    """
    from pyspark.sql import functions as F

    action = F.col("action")
    tried = planned.where(action.isin(Action.SCORE.value, Action.STAGED.value))
    failed = results.where(could_not_be_had()).select(F.col("for_fingerprint").alias("fingerprint"))
    again = F.coalesce(F.col("failed_nights"), F.lit(0)) + F.lit(1)
    listed = (
        tried.join(failed, on="fingerprint", how="left_semi")
        .select("product_id", "fingerprint", again.alias("nights"), F.lit(night).alias("last_night"))
        .unionByName(
            planned.where(action == F.lit(Action.REST.value)).select(
                "product_id", "fingerprint", F.col("failed_nights").alias("nights"), F.lit(None).alias("last_night")
            )
        )
    )
    if others is not None:
        listed = listed.unionByName(others.join(planned, on="product_id", how="left_anti"))
    return listed


def could_not_be_had() -> Column:
    """Return whether a result has a failure that may be over by the next night, and the photo is not the known one."""
    from pyspark.sql import functions as F

    return F.col("status").isin(*(status.value for status in RETRY_EVERY_RUN)) & ~F.col("unchanged")
