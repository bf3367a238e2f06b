"""Shadow scoring: compare a new bundle with the published table on a sample, without writing anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pandas as pd

from fashion_udf.config import JobConfig
from fashion_udf.errors import InputError
from fashion_udf.model import bundle
from fashion_udf.pipeline import chunks, fingerprint, planning, shadow_report, tagging
from fashion_udf.pipeline.comparison import PlanCounts, Scope
from fashion_udf.pipeline.planning import Run
from fashion_udf.pipeline.shadow_report import Cost, Report, Scoring
from fashion_udf.schema import TAGS
from fashion_udf.scoring import udf
from fashion_udf.spark import memory, session
from fashion_udf.table import paths, s3_store, snapshot
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def compare(spark: SparkSession, config: JobConfig, reference: str, sample_rows: int) -> Report:
    """Score a sample of the published rows with another bundle, and compare the results.

    The sample is the rows whose ids have the smallest hashes. So it is the same at each call, and changes little from
    night to night. Rows are compared by `model_category`, before overrides and label stability.

    Args:
        spark: a session that `session.require_usable` accepts.
        config: the config of the job that publishes the table.
        reference: reference of the new bundle, as for `bundle.read`.
        sample_rows: maximum size of the sample.

    Raises:
        InputError: there is no published table, or the config, the catalog or a bundle cannot be used.
        EngineError: the new bundle's engine does not start on an executor, or its golden rows differ.
    """
    s3_store.use(config.s3)
    commit = snapshot.current(config.output.path)
    if commit is None:
        raise InputError(
            f"Expected a published table to compare with. Received: none in {config.output.path}. "
            "Run `fashion-udf tag` first"
        )
    present = bundle.read(config.bundle, open_store)
    bounds = chunks.memory_bounds(PlanCounts(), config.limits.batch_bytes)
    values = {**tagging.session_settings(spark, config), **bounds}
    with session.settings(spark, values), session.uncached_after(), memory.explained(spark):
        changed = config.model_copy(update={"bundle": reference})
        run = planning.start(spark, changed, Scope(), paths.new_run_id())
        published = planning.read(spark, [paths.snapshot_dir(config.output.path, commit.snapshot_id)], TAGS)
        before = _sample(published, sample_rows)
        started = time.monotonic()
        after = _scored(run, before["product_id"])
        seconds = time.monotonic() - started
    rows = before.merge(after, on="product_id", how="left", suffixes=("_before", "_after"))
    scoring = Scoring(run.bundle.model_version, run.config.engine.name, run.config.engine.precision)
    cost = Cost(commit.rows, len(after), seconds, spark.sparkContext.defaultParallelism)
    return shadow_report.report(rows, present, run.bundle, scoring, cost)


def _sample(published: DataFrame, rows: int) -> pd.DataFrame:
    """Return `shadow_report.FACTS` of a sample of the published rows, and their `product_id` and `model_version`."""
    from pyspark.sql import functions as F

    facts: dict[str, Column] = {
        "category": F.col("model_category"),
        "decision": F.col("decision"),
        # The column `confidence` belongs to the published category, which may be a person's.
        "confidence": F.get("top_categories", F.lit(0))["confidence"],
        "novelty": F.col("novelty"),
        "image_sha256": F.col("image_sha256"),
        "text": fingerprint.text_part(F.col("fingerprint")),
    }
    named = (facts[name].alias(name) for name in shadow_report.FACTS)
    first = published.orderBy(F.xxhash64("product_id"), "product_id").limit(rows)
    return first.select("product_id", "model_version", *named).toPandas()


def _scored(run: Run, product_ids: pd.Series) -> pd.DataFrame:
    """Return `product_id`, `status` and `shadow_report.FACTS` of the products that are in the catalog."""
    from pyspark.sql import functions as F

    spark, source = run.spark, run.source
    ids = spark.createDataFrame(pd.DataFrame({"product_id": product_ids}, dtype=object), "product_id string")
    if run.rejected_rows:
        ids = ids.join(run.rejected, on="product_id", how="left_anti")
    by_bytes = "image_uri" not in source.columns
    counts = PlanCounts(
        to_score=len(product_ids), photo_bytes=chunks.USUAL_PHOTO_BYTES * len(product_ids) if by_bytes else 0
    )
    # The ids are few. They are broadcast, so that no photo is shuffled.
    rows = source.join(F.broadcast(ids), on="product_id", how="inner")
    rows = chunks.spread(rows, len(product_ids), counts, len(product_ids))
    model, done = spark.sparkContext.broadcast(run.bundle), spark.sparkContext.accumulator(0)
    settings, nothing = run.settings(with_photos=True), F.lit(None).cast("string")
    never = F.lit(None).cast("timestamp")
    facts: dict[str, Column] = {
        "category": F.col("score.model_category"),
        "text": fingerprint.text_part(
            fingerprint.fingerprint(F.col("title"), F.col("description"), nothing, run.versions)
        ),
    }

    def score(sandboxed: bool) -> pd.DataFrame:
        scores = udf.score_udf(model, settings, done, sandboxed, run.config.limits.batch_timeout, run.photos)
        scored = rows.withColumn("score", scores("title", "description", chunks.photo_of(rows), nothing, never))
        named = (facts.get(name, F.col(f"score.{name}")).alias(name) for name in shadow_report.FACTS)
        return scored.select("product_id", "score.status", *named).toPandas()

    with chunks.progress_of(len(product_ids), done):
        return udf.sandboxed_if_needed(score)
