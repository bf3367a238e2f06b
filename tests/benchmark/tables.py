"""Runs to what is printed: medians, ratios, milliseconds per stage, the bottleneck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fashion_udf import console
from tests.benchmark.measured_rows import CEILING, PLAIN, ROWS, Run
from tests.benchmark.nights import FULL, Night
from tests.benchmark.stages import STAGES

WIDTH = 120  # columns of a terminal


@dataclass(frozen=True)
class Summary:
    """A row's medians over its runs; None where the row has no such thing or another row is lacking."""

    title: str
    rows_per_second: float
    scoring_seconds: float
    process_seconds: float | None
    to_plain: float | None
    to_ceiling: float | None
    worker_bytes: int | None  # the largest of all runs
    first_row_seconds: float | None
    same_categories: float | None  # share of rows with the reference's category, the smallest of all runs
    stages: Mapping[str, float] | None  # core seconds of a row
    bottleneck: str | None


def summarize(
    runs: Sequence[Run],
    cores: int,
    stages: Mapping[str, Mapping[str, float]],
    first_rows: Mapping[str, float],
    shares: Mapping[str, float],
) -> dict[str, Summary]:
    """Return a summary of each measured row, in the table's order.

    Args:
        runs: all runs of all rows.
        cores: task cores.
        stages: by row, seconds per row as `tests.benchmark.stages` measures them.
        first_rows: by row, seconds from a worker's fork to its first row.
        shares: by row, the smallest share of rows with the reference's category.
    """
    by_row = {name: [run for run in runs if run.row == name] for name in ROWS}
    rates = {name: median(run.rows_per_second for run in found) for name, found in by_row.items() if found}
    summaries = {}
    for name, rate in rates.items():
        submitted = [run.submitted for run in by_row[name] if run.submitted]
        spent = _core_seconds(by_row[name], cores, stages[name]) if name in stages else None
        summaries[name] = Summary(
            title=ROWS[name].title,
            rows_per_second=rate,
            scoring_seconds=median(run.scoring_seconds for run in by_row[name]),
            process_seconds=median(done.process_seconds for done in submitted) if submitted else None,
            to_plain=rate / rates[PLAIN] if PLAIN in rates else None,
            to_ceiling=rate / rates[CEILING] if CEILING in rates else None,
            worker_bytes=max(done.worker_bytes for done in submitted) if submitted else None,
            first_row_seconds=first_rows.get(name),
            same_categories=shares.get(name),
            stages=spent,
            bottleneck=max(spent, key=lambda stage: spent[stage]) if spent else None,
        )
    return summaries


def _core_seconds(runs: Sequence[Run], cores: int, measured: Mapping[str, float]) -> dict[str, float]:
    """Add to the stages what the event log knows: writing, and the rest of the cores' time.

    Writing is the processor time of the JVM's task threads: they take the results from Python and encode Parquet. The
    rest is the start of the workers, Arrow, planning, committing, waiting; it is negative where fetching overlaps with
    the engine.
    """
    rows = median(run.rows_per_second * run.scoring_seconds for run in runs)
    timelines = [run.submitted.timeline for run in runs if run.submitted]
    write = median(timeline.jvm_seconds for timeline in timelines) / rows
    total = cores * median(run.scoring_seconds for run in runs) / rows
    spent = {**{stage: measured.get(stage, 0.0) for stage in STAGES}, "write": write}
    return {**spent, "rest": total - sum(spent.values())}


def speed(summaries: Mapping[str, Summary], missing: Mapping[str, str]) -> str:
    """Return the table of rates, and a line for each row that could not be measured."""
    columns = (
        "scoring",
        "rows/s",
        "x plain",
        "% ceiling",
        "scoring s",
        "process s",
        "worker MB",
        "first row s",
        "same %",
    )
    lines = [
        (
            row.title,
            _number(row.rows_per_second, 1),
            _number(row.to_plain, 2),
            _number(row.to_ceiling, 0, 100),
            _number(row.scoring_seconds, 1),
            _number(row.process_seconds, 1),
            _number(row.worker_bytes, 0, 1e-6),
            _number(row.first_row_seconds, 1),
            _number(row.same_categories, 2, 100),
        )
        for row in summaries.values()
    ]
    absent = [f"{ROWS[name].title}: not measured: {reason}\n" for name, reason in missing.items()]
    return _aligned(columns, lines) + "".join(absent)


def stage_times(summaries: Mapping[str, Summary]) -> str:
    """Return the table of milliseconds of core time per row."""
    measured = [(row, row.stages) for row in summaries.values() if row.stages]
    lines = [
        (row.title, *(_number(spent[stage], 2, 1000) for stage in STAGES), _number(sum(spent.values()), 2, 1000))
        + (str(row.bottleneck),)
        for row, spent in measured
    ]
    return _aligned(("core ms per row", *STAGES, "sum", "bottleneck"), lines)


def night_times(nights: Sequence[Night]) -> str:
    """Return the table of nights, each beside the full one."""
    full = next((night.seconds for night in nights if night.name == FULL), None)
    lines = [
        (night.name, str(night.rows), str(night.scored), _number(night.seconds, 1), _number(night.process_seconds, 1))
        + (_number(night.seconds / full if full and night.rows == nights[0].rows else None, 1, 100),)
        + (_number(night.driver_bytes, 0, 1e-6),)
        for night in nights
    ]
    return _aligned(("night", "rows", "scored", "seconds", "process s", "% of full", "driver MB"), lines)


def _aligned(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return plain text, every column but the first to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    padded = [[text.rjust(width) for text, width in zip(line, widths, strict=True)] for line in (columns, *lines)]
    for cells, line in zip(padded, (columns, *lines), strict=True):
        cells[0] = line[0]
    return console.table(padded[0], padded[1:])


def _number(value: float | None, digits: int, factor: float = 1) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"
