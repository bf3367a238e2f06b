"""The run: plan, score what is new, assemble, audit, publish; an interrupted run is resumed by the next one's plan.

    catalog --accepted--> staging/<run_id>/plan-0 --to score--> staging/<run_id>/results/00000, 00001, ...
            --rejected--> runs/<run_id>/rejected.parquet
    plan, results and the published table --> staging/<run_id>/tags-0 --audit--> tags/data/<snapshot_id>

Where another run publishes meanwhile, planning and what follows are done again on top of that: what was scored is
staged, so only the comparison is repeated.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fashion_udf import console
from fashion_udf.config import JobConfig
from fashion_udf.errors import CommitConflictError, GateRefusedError
from fashion_udf.pipeline import (
    assembly,
    audit,
    chunks,
    comparison,
    estimate,
    gates,
    outcome,
    planning,
    refused,
    run_tables,
    staging,
)
from fashion_udf.pipeline.comparison import Counts, Scope
from fashion_udf.pipeline.planning import Planned, Run
from fashion_udf.schema import TAGS
from fashion_udf.scoring.scorer import Settings
from fashion_udf.table import metastore, paths, snapshot
from fashion_udf.table.commit import Commit

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger("fashion_udf")

#: Times a run plans: once, and three times more where another run published first.
PLANS = 4
#: Rows from which the speed of a run says something about the next one.
TELLING_ROWS = 500


@dataclass(frozen=True)
class Outcome:
    """What a run did; `number` and `data_dir` are those of the current snapshot, whether or not it is of this run."""

    run_id: str
    number: int
    data_dir: Path
    published: bool
    counts: dict[str, int] = field(default_factory=dict)


def tag(spark: SparkSession, config: JobConfig, scope: Scope | None = None) -> Outcome:
    """Bring the table up to date with the catalog and publish it; publish nothing where nothing changed.

    Args:
        spark: a session of `job.session`.
        config: of the run.
        scope: which products to look at, and which to score whatever their fingerprint; by default the whole catalog.

    Raises:
        InputError: the config, catalog or bundle cannot be used (exit 2); nothing was published.
        GateRefusedError: the audit refused the table (exit 3); it stays in staging for a person to look at.
        CommitConflictError: other runs published first, again and again (exit 4).
    """
    run_id, output = paths.new_run_id(), config.output.path
    directory = paths.staging_dir(output, run_id)
    with outcome.recorded(paths.run_dir(output, run_id)) as counts, staging.alive(directory):
        run = planning.start(spark, config, scope or Scope(), run_id)
        if run.rejected_rows:
            run.rejected.write.parquet(str(run.directory / "rejected.parquet"))
        commit, published = _publish_on_current(run, counts)
        if config.publish.table and published:
            metastore.move(spark, config.publish.table, paths.data_dir(output, commit))
        # Only now that the commit has landed; nobody reads it, and the next run's is its own.
        shutil.rmtree(directory, ignore_errors=True)
        return Outcome(run_id, commit.number, paths.data_dir(output, commit), published, counts)


def forecast(spark: SparkSession, config: JobConfig, scope: Scope | None = None) -> dict[str, int]:
    """Check everything and count what a run would do; writes nothing.

    Returns:
        Counts as in `Outcome`, the rows and about the bytes of the next table, and what scoring would take: expected
        seconds, and core seconds. These follow the newest run that scored; without one they are not there.
    """
    run = planning.start(spark, config, scope or Scope(), paths.new_run_id())
    planned = planning.on_current(run, None)
    cores = spark.sparkContext.defaultParallelism
    told = _told(planned.counts, run.rejected_rows)
    told |= estimate.table(planned.parent, 0 if planned.changes_nothing else planned.table_rows)
    return told | estimate.scoring(config.output.path, planned.counts.to_score, cores)


def tag_summary(spark: SparkSession, config: JobConfig, scope: Scope) -> str:
    """Do what `tag` does, and tell a person the counts and where the table is."""
    tagged = tag(spark, config, scope)
    done = "published" if tagged.published else "nothing to do; the table is still"
    return f"{console.summary(tagged.counts)}{done} snapshot {tagged.number}: {tagged.data_dir}\n"


def forecast_summary(spark: SparkSession, config: JobConfig, scope: Scope) -> str:
    """Do what `forecast` does, and tell a person the counts."""
    return console.summary(forecast(spark, config, scope))


def _publish_on_current(run: Run, counts: dict[str, int]) -> tuple[Commit, bool]:
    """Do everything from the plan on, again where another run published first; fills in `counts`."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    work = _Work()
    for attempt in range(PLANS):
        parent = snapshot.current(run.config.output.path)
        try:
            return _attempt(run, attempt, work, counts)
        except (CommitConflictError, GateRefusedError, PySparkException, Py4JJavaError, OSError) as error:
            # A run that publishes removes what it staged, which this one may have planned with: rows are missing then.
            overtaken = isinstance(error, CommitConflictError) or snapshot.current(run.config.output.path) != parent
            if attempt == PLANS - 1 or not overtaken:
                raise
            logger.warning("another run has published meanwhile; planning again on top of it (%s)", error)
    raise AssertionError("the last attempt returns or raises")


@dataclass
class _Work:
    """What the attempts of a run share."""

    next_chunk: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def _attempt(run: Run, attempt: int, work: _Work, counts: dict[str, int]) -> tuple[Commit, bool]:
    seconds = work.seconds
    with _timed("plan", seconds):
        planned = planning.on_current(run, run.staging / f"plan-{attempt}")
    counts |= _told(planned.counts, run.rejected_rows)
    if planned.changes_nothing and planned.parent:
        return planned.parent, False
    with _timed("score", seconds):
        work.next_chunk = _score(run, planned, work.next_chunk)
    tags = run.staging / f"tags-{attempt}"
    results = planning.results(run)
    with _timed("assemble", seconds):
        _assemble(run, planned, results, tags)
    with _timed("audit", seconds):
        counts |= _audit(run, planned, results, tags, seconds)
    return _publish(run, planned, tags, attempt), True


def _score(run: Run, planned: Planned, next_chunk: int) -> int:
    if not planned.counts.to_score:
        return next_chunk
    config = run.config
    photo: Literal["bytes", "uri", "none"] = "uri" if "image_uri" in run.source.columns else "bytes"
    settings = Settings(
        engine=config.engine.name,
        precision=config.engine.precision,
        batch_size=config.engine.batch_size,
        top_k=config.top_k,
        photo=photo if planned.counts.with_photo else "none",
        image_roots=config.input.image_roots,
        max_image_bytes=config.limits.max_image_bytes,
        max_image_pixels=config.limits.max_image_pixels,
    )
    todo = run.staging / f"todo-{next_chunk}"
    representatives = comparison.representatives(planned.rows)
    representatives.write.parquet(str(todo))
    job = chunks.Job(
        source=run.source,
        todo=run.spark.read.schema(representatives.schema).parquet(str(todo)),
        bundle=run.spark.sparkContext.broadcast(run.model),
        settings=settings,
        run_id=run.run_id,
        directory=run.staging,
        batch_timeout=config.limits.batch_timeout,
    )
    return chunks.score(job, planned.counts, config.limits.batch_bytes, next_chunk)


def _assemble(run: Run, planned: Planned, results: DataFrame, target: Path) -> None:
    margin, left_rows = run.config.stability_margin, planned.counts.scored + planned.counts.gone
    table = assembly.assemble(planned.rows, planned.previous, results, planned.gone, margin, left_rows)
    table = assembly.override(table, planned.overrides)
    assembly.write(table, [*planned.previous.inputFiles(), *results.inputFiles()], target)


def _audit(run: Run, planned: Planned, results: DataFrame, tags: Path, seconds: dict[str, float]) -> dict[str, int]:
    """Count the next table and check it; a refused one is kept as a candidate."""
    table = planning.read(run.spark, [str(tags)], TAGS)
    found = audit.audit(table, planned.previous if planned.parent else None, [*tags.glob("*.parquet")])
    metrics = {**found.as_dict(), "seconds": seconds}
    if planned.counts.to_score >= TELLING_ROWS:
        cores = run.spark.sparkContext.defaultParallelism
        metrics["rows_per_core_second"] = planned.counts.to_score / (seconds["score"] * cores)
    outcome.write_metrics(run.directory, metrics)
    kept = assembly.kept(planned.rows, planned.previous, results)
    causes = run_tables.write(run.directory, table, planned.previous, kept, run.run_id)
    if refusals := gates.broken(found, planned.table_rows, run.config.gates):
        refused.refuse(run.staging, tags, run.model.model_version, planned.table_rows, planned.parent, refusals)
    groups = {"kept": causes, "status": found.statuses, "decision": found.decisions, "modality": found.modalities}
    return {f"{group}.{name}": rows for group, counted in groups.items() for name, rows in counted.items()}


def _publish(run: Run, planned: Planned, tags: Path, attempt: int) -> Commit:
    # A snapshot's id is never used twice, also where the files were moved before another run's commit won.
    snapshot_id = paths.attempt_id(run.run_id, str(attempt)) if attempt else run.run_id
    version, rows = run.model.model_version, planned.table_rows
    output = run.config.output.path
    return snapshot.publish(output, tags, snapshot_id, version, expected_rows=rows, parent=planned.parent)


def _told(counts: Counts, rejected: int) -> dict[str, int]:
    told = {
        "accepted": counts.accepted,
        "rejected": rejected,
        "scored": counts.scored,
        "carried": counts.carried,
        "gone": counts.gone,
        "duplicates": counts.duplicates,
        "staged": counts.staged,
    }
    return told | {f"reason.{name}": rows for name, rows in counts.reasons.items()}


@contextmanager
def _timed(what: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[what] = seconds.get(what, 0.0) + time.monotonic() - started
    logger.info("%s: %.1f s", what, time.monotonic() - started)
