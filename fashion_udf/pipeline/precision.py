"""Choose the precision of a run. `auto` prefers the table's precision, so that another CPU need not score it again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.precision import AUTO
from fashion_udf.pipeline import fingerprint, staging
from fashion_udf.pipeline.fingerprint import Versions
from fashion_udf.table import paths, snapshot

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)


def resolve(spark: SparkSession, output: str, bundle: Bundle, versions: Versions) -> str:
    """Return the precision of a run.

    `auto` is the precision of most published rows that this bundle and engine scored. Without such rows, it is the
    precision of the results that an interrupted run staged. Without these, it is the fastest for the driver's CPU.

    Args:
        spark: the session.
        output: root of the output.
        bundle: the bundle of the run.
        versions: the versions of the run; `precision` is the configured one.

    Raises:
        ConfigError: the engine is unknown, or the bundle does not offer the precision.
        SnapshotError: the log of the published table is damaged.
    """
    offered = bundle.manifest.engines.get(versions.engine, [])
    if versions.precision == AUTO and len(offered) > 1:
        by_part = {
            part: precision
            for precision in offered
            for part in fingerprint.versions_parts(replace(versions, precision=precision))
        }
        if precision := _published(spark, output, by_part):
            logger.info("engine.precision auto is %s: the published table has it", precision)
            return precision
        if precision := _staged(output, by_part):
            logger.info("engine.precision auto is %s: the results of an interrupted run have it", precision)
            return precision
    return registry.resolve_precision(versions.engine, bundle, versions.precision)


def _published(spark: SparkSession, output: str, by_part: Mapping[str, str]) -> str | None:
    """Return the precision of most published rows; None if no row has one of the parts."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    if (commit := snapshot.current(output)) is None:
        return None
    part = fingerprint.versions_part(F.col("fingerprint")).alias("part")
    try:
        rows = spark.read.schema("fingerprint string").parquet(paths.snapshot_dir(output, commit.snapshot_id).uri)
        counted = rows.groupBy(part).count().where(F.col("part").isin(*by_part)).collect()
    except (PySparkException, Py4JJavaError) as error:
        # The plan verifies the table later, and reports what is wrong with it.
        logger.info("the fingerprints of the published table cannot be read: %s", str(error).splitlines()[0])
        return None
    rows_of: Counter[str] = Counter()
    for row in counted:
        rows_of[by_part[row["part"]]] += row["count"]
    return max(rows_of, key=lambda precision: rows_of[precision]) if rows_of else None


def _staged(output: str, by_part: Mapping[str, str]) -> str | None:
    """Return the precision of the newest staged results that have one of the parts."""
    for result in reversed(staging.result_files(output, hold=False)):
        try:
            with result.place.store.open(result.place.key) as file:
                fingerprints = pq.read_table(file, columns=["fingerprint"])["fingerprint"].to_pylist()
        except (pa.ArrowException, OSError):  # the run of this file has just published and removed it
            continue
        for text in fingerprints:
            if precision := by_part.get(text.rpartition("-")[2]):
                return precision
    return None
