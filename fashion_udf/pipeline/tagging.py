"""The run: plan, score, assemble, audit, publish. The next run resumes an interrupted one.

    catalog --accepted--> staging/<run_id>/plan-0 --to score--> staging/<run_id>/chunk-00000-0, chunk-00001-0, ...
            --rejected--> runs/<run_id>/rejected.parquet
    plan, results and the published table --> tags/data/<snapshot_id> --audit--> tags/log/<number>.json

If another run publishes meanwhile, the run plans again on top of the new snapshot. It uses its staged results, so that
no row is scored again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from fashion_udf.catalog import sources
from fashion_udf.config import JobConfig
from fashion_udf.errors import CommitConflictError, FashionError, GateRefusedError
from fashion_udf.pipeline import (
    assembly,
    audit,
    chunks,
    comparison,
    division,
    estimate,
    gates,
    outcome,
    overriding,
    planning,
    preflight,
    refused,
    reports,
    staging,
    unreadable_texts,
    written,
)
from fashion_udf.pipeline.audit import Audit
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.pipeline.outcome import Outcome, Preview, Record, RunCounts
from fashion_udf.pipeline.planning import Planned, Run
from fashion_udf.pipeline.reports import Work
from fashion_udf.schema import TAGS, Reason
from fashion_udf.scoring import udf
from fashion_udf.spark import full_disk, launcher, memory, session
from fashion_udf.table import decisions, followers, paths, snapshot
from fashion_udf.table.commit import Commit, DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

#: Maximum of plans in a run: one, and three more if other runs publish first.
PLANS = 4


def tag(spark: SparkSession, config: JobConfig, scope: Scope | None = None, run_id: str | None = None) -> Outcome:
    """Update the table to the catalog and publish it. Nothing is published if nothing changed.

    Args:
        spark, config, run_id: a session that `session.require_usable` accepts; default id: `paths.new_run_id`.
        scope: which products to process, and which to score although nothing changed. Default: the whole catalog.

    Raises:
        InputError: the config, catalog or bundle cannot be used (exit 2); nothing was published.
        GateRefusedError: the audit refused the table (exit 3), which is kept for a person to look at.
        CommitConflictError: other runs published first at every attempt (exit 4).
    """
    run_id, output = run_id or paths.new_run_id(), config.output.path
    preflight.require_output(output, config.s3)
    with (
        session.settings(spark, session_settings(spark, config)),
        session.uncached_after(),
        outcome.recorded(paths.run_dir(output, run_id)) as record,
        memory.explained(spark),
        full_disk.explained(spark, output),
        udf.own_errors(),
        staging.alive(directory := paths.staging_dir(output, run_id)),
        sources.damage_named("input.path", config.input.path),
        sources.damage_named("the published table", paths.Location(output, paths.DATA).uri),
        launcher.ended(),
    ):
        preflight.require_one_winner(directory)
        run = planning.start(spark, config, scope or Scope(), run_id)
        if run.rejected_rows:
            written.write(run.rejected, run.directory / "rejected.parquet")
        try:
            commit, counts, published = _publish_on_current(run, record)
        except FashionError:
            # The published table stays, but its followers may still show an older snapshot.
            followers.reconcile(output, spark, config.publish.table, config.publish.delta)
            raise
        followers.reconcile(output, spark, config.publish.table, config.publish.delta)
        decisions.compact(output)
        staging.remove(directory)  # only after the commit: until then a later run may need it
        return Outcome(run_id, commit.number, paths.data_dir(output, commit), published, counts)


def session_settings(spark: SparkSession, config: JobConfig) -> dict[str, str | int]:
    """Return the settings of the session during a run. They are restored afterwards."""
    return {
        **session.PINNED,
        **session.hadoop_settings(spark.sparkContext.getConf(), config.s3),
        "spark.sql.parquet.columnarReaderBatchSize": chunks.BATCH_ROWS,
    }


def preview(spark: SparkSession, config: JobConfig, scope: Scope | None = None) -> Preview:
    """Check everything and count what a run would do. Nothing is written."""
    preflight.require_output(config.output.path, config.s3)
    with (
        session.settings(spark, session_settings(spark, config)),
        session.uncached_after(),
        memory.explained(spark),
        udf.own_errors(),
        sources.damage_named("input.path", config.input.path),
    ):
        run = planning.start(spark, config, scope or Scope(), paths.new_run_id())
        planned = planning.on_current(run, None)
        rows = 0 if planned.changes_nothing else planned.table_rows
        texts = unreadable_texts.of_sample(run, planned)
    cores = spark.sparkContext.defaultParallelism
    size = estimate.table_bytes(planned.parent, rows)
    core_seconds = estimate.core_seconds(config.output.path, planned.counts.to_score)
    return Preview(reports.run_counts(run, planned), rows, size, core_seconds, cores, *texts, run.notes)


def _publish_on_current(run: Run, record: Record) -> tuple[Commit, RunCounts, bool]:
    """Run all steps from the plan to the commit, and repeat them if another run published first."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    work = Work()
    output = run.config.output.path
    for attempt in range(PLANS):
        parent, staged = snapshot.current(output), staging.runs_with_results(output)
        try:
            return _attempt(run, attempt, work, record)
        except (CommitConflictError, GateRefusedError, PySparkException, Py4JJavaError, OSError) as error:
            # A run removes its staging after its commit. If this run planned with results in it, rows are missing.
            ended = isinstance(error, CommitConflictError) or snapshot.current(output) != parent
            if attempt == PLANS - 1 or not (ended or staged - staging.runs_with_results(output)):
                raise
            logger.warning("another run published or ended first; this run plans again on top of it (%s)", error)
    raise AssertionError("the last attempt returns or raises")


def _attempt(run: Run, attempt: int, work: Work, record: Record) -> tuple[Commit, RunCounts, bool]:
    seconds = work.seconds
    with _timed("plan", seconds):
        planned = planning.on_current(run, run.staging / f"plan-{attempt}")
    record.counts = counts = reports.run_counts(run, planned)
    if planned.changes_nothing and planned.parent:
        return planned.parent, counts, False
    with _timed("score", seconds):
        work.next_chunk = _score(run, planned, work.next_chunk)
    work.scored += planned.counts.to_score
    results = planning.results(run)
    if planned.parent and _stays(planned, results):
        record.counts = counts = reports.write(run, planned, results, work)
        return planned.parent, counts, False
    # A later attempt needs another id, because the data directory of the first one may already exist.
    snapshot_id = paths.attempt_id(run.run_id, str(attempt)) if attempt else run.run_id
    tags = paths.snapshot_dir(run.config.output.path, snapshot_id)
    with _timed("assemble", seconds):
        files = _assemble(run, planned, results, tags)
    with _timed("audit", seconds):
        audited, counts = _audit(run, planned, results, tags, work)
    record.counts = counts
    version, rows = run.bundle.model_version, planned.table_rows
    if broken := gates.broken(audited, rows, run.config.gates):
        told = refused.keep_refused(run.staging, tags, files, version, rows, planned.parent, broken)
        raise GateRefusedError(told)
    commit = snapshot.publish(
        *(run.config.output.path, snapshot_id, files, version), expected_rows=rows, parent=planned.parent
    )
    return commit, counts, True


def _stays(planned: Planned, results: DataFrame) -> bool:
    """Return whether the next table equals the published one, after scoring."""
    counts = planned.counts
    if counts.removed or counts.reasons.get(Reason.NEW) or not counts.scored:
        return False
    return assembly.leaves_all(planned.rows, planned.previous, results) and not planned.overrides_change


def _score(run: Run, planned: Planned, next_chunk: int) -> int:
    if not planned.counts.to_score:
        return next_chunk
    config = run.config
    todo = run.staging / f"todo-{next_chunk}"
    one_each = division.ranked(comparison.one_per_fingerprint(planned.rows))
    written.write(one_each, todo)
    bundle = run.spark.sparkContext.broadcast(run.bundle)
    job = chunks.Job(
        source=run.source,
        todo=run.spark.read.schema(one_each.schema).parquet(todo.uri),
        bundle=bundle,
        settings=run.settings(with_photos=planned.counts.with_photo > 0),
        versions=run.versions,
        run_id=run.run_id,
        directory=run.staging,
        batch_timeout=config.limits.batch_timeout,
        photos=run.photos,
        requests=run.requests,
    )
    try:
        return chunks.score(job, planned.counts, config.limits.batch_bytes, next_chunk)
    finally:
        with suppress(Exception):  # if Spark has ended, an error of the chunks tells why
            bundle.destroy()


def _assemble(run: Run, planned: Planned, results: DataFrame, target: Location) -> tuple[DataFile, ...]:
    """Write the next table, and return the facts of its files."""
    taxonomy, left_rows = run.bundle.taxonomy, planned.counts.scored + planned.counts.removed
    stability = assembly.Stability(run.config.stability_margin, taxonomy)
    table = assembly.assemble(planned.rows, planned.previous, results, planned.removed, stability, left_rows)
    table = overriding.override(table, planned.overrides, taxonomy)
    size = planned.parent.size if planned.parent else 0
    size += sum(file.size for file in staging.result_files(run.config.output.path, hold=False))
    return assembly.write(table, size, target)


def _audit(run: Run, planned: Planned, results: DataFrame, tags: Location, work: Work) -> tuple[Audit, RunCounts]:
    """Count the next table and write the run's reports."""
    table = planning.read(run.spark, [tags], TAGS)
    audited = audit.audit(table, planned.previous if planned.parent else None)
    counts = reports.write(run, planned, results, work, table, audited.as_dict())
    return audited, replace(
        counts, statuses=audited.statuses, decisions=audited.decisions, modalities=audited.modalities
    )


@contextmanager
def _timed(what: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[what] = seconds.get(what, 0.0) + time.monotonic() - started
    logger.info("%s: %.1f s", what, time.monotonic() - started)
