"""Write the reports of a run to `runs/<run_id>/`: `metrics.json` and the tables of `run_tables`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fashion_udf.pipeline import assembly, outcome, retries, run_tables, unreadable_texts
from fashion_udf.pipeline.outcome import RunCounts
from fashion_udf.pipeline.planning import Planned, Run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Minimum of scored rows from which the speed of a run is known.
MIN_ROWS_FOR_SPEED = 500


@dataclass
class Work:
    """The work of all plans of a run. A run plans again if another run published first."""

    next_chunk: int = 0
    scored: int = 0  # rows that were scored, or whose photo was read
    seconds: dict[str, float] = field(default_factory=dict)  # by step


def write(
    run: Run,
    planned: Planned,
    results: DataFrame,
    work: Work,
    table: DataFrame | None = None,
    metrics: Mapping[str, object] | None = None,
) -> RunCounts:
    """Write the run's reports, and return its counts so far.

    Args:
        run: the result of `planning.start`.
        planned: the plan of the run.
        results: the result of `planning.results`.
        work: the work of all plans of the run.
        table: the next table, with the columns of `TAGS`; None if the published one stays.
        metrics: further entries of `metrics.json`.
    """
    others = None if run.scope.selected is None else retries.read(run.spark, run.config.output.path, but=run.run_id)
    looked_at = {
        "unchanged": assembly.unchanged(planned.rows, planned.previous, results),
        "unreadable": assembly.unreadable(planned.rows, results),
        "retries": retries.after(planned.rows, results, run.night, others),
    }
    calibration = run.bundle.manifest.calibration[run.config.engine.precision]
    limits = {modality: facts.novelty for modality, facts in calibration.items()}
    causes, unreadable = run_tables.write(run.directory, table, planned.previous, looked_at, run.run_id, limits)
    measured = {**(metrics or {}), **_measured(run, work), "unreadable_texts": unreadable}
    outcome.write_metrics(run.directory, measured)
    unreadable_texts.warn(unreadable, f"{planned.counts.scored} products of this run")
    return replace(run_counts(run, planned), unreadable_texts=unreadable, unchanged=causes)


def _measured(run: Run, work: Work) -> dict[str, object]:
    measured: dict[str, object] = {
        "seconds": work.seconds,
        "model_version": run.bundle.model_version,
        "engine": run.config.engine.name,
        "precision": run.config.engine.precision,
    }
    if run.requests is not None and run.requests.value:
        measured["requests"] = run.requests.value
    if work.scored >= MIN_ROWS_FOR_SPEED:
        cores = run.spark.sparkContext.defaultParallelism
        measured["rows_per_core_second"] = work.scored / (work.seconds["score"] * cores)
    return measured


def run_counts(run: Run, planned: Planned) -> RunCounts:
    """Return the counts of a run that are known from its plan."""
    counts = planned.counts
    return RunCounts(
        accepted=counts.accepted,
        rejected=run.rejected_rows,
        scored=counts.scored,
        carried=counts.carried,
        resting=counts.resting,
        removed=counts.removed,
        duplicates=counts.duplicates,
        staged=counts.staged,
        catalog=counts.catalog,
        reasons=counts.reasons,
    )
