"""Write `metrics.prom`: figures of a run in Prometheus' text format, for the node exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fashion_udf.pages import run_page
from fashion_udf.pages.figures import RunFigures

_PREFIX = "fashion_udf"


def render(figures: RunFigures) -> str:
    """Return the text: each metric once with its help and type, without unknown values."""
    lines = [*_metric("run_exit_code", "How the last run ended: 0 published or nothing to do.", figures.exit_code)]
    if start := run_page.started(figures.run_id):
        lines += _metric("run_start_seconds", "When the run started, since the epoch.", start.timestamp())
    if figures.number is not None:
        lines += _metric("snapshot_number", "Number of the current snapshot.", figures.number)
    cost = figures.cost
    groups: list[tuple[str, str, str, Mapping[str, float]]] = [
        ("run_rows", "Rows of the run by step.", "step", {step.name: step.rows for step in figures.funnel}),
        ("table_rows", "Rows of the table by decision.", "decision", figures.decisions),
        ("table_modality_rows", "Rows of the table by what the score used.", "modality", figures.modalities),
        ("table_category_rows", "Rows of the table by category.", "category", _categories(figures)),
        ("stage_seconds", "Seconds of the run by stage.", "stage", cost.seconds),
        ("requests", "Requests of the run by kind.", "kind", cost.requests),
    ]
    for name, purpose, label, values in groups:
        lines += _labelled(name, purpose, label, values)
    lines += _metric("run_seconds", "Seconds of the whole run.", cost.total_seconds)
    if cost.rows_per_second is not None:
        lines += _metric("scored_rows_per_second", "Rows scored in a second of scoring.", cost.rows_per_second)
    if cost.per_million_rows is not None:
        lines += _metric(
            "million_rows_cost", "Cost of a million scored rows, by the price given.", cost.per_million_rows
        )
    return "\n".join(lines) + "\n"


def _categories(figures: RunFigures) -> dict[str, float]:
    return {category.name: category.rows for category in figures.categories[: run_page.CATEGORIES]}


def _metric(name: str, purpose: str, value: float) -> Iterator[str]:
    yield from (
        f"# HELP {_PREFIX}_{name} {purpose}",
        f"# TYPE {_PREFIX}_{name} gauge",
        f"{_PREFIX}_{name} {value:.10g}",
    )


def _labelled(name: str, purpose: str, label: str, values: Mapping[str, float]) -> Iterator[str]:
    if values:
        yield f"# HELP {_PREFIX}_{name} {purpose}"
        yield f"# TYPE {_PREFIX}_{name} gauge"
    for key, value in values.items():
        yield f'{_PREFIX}_{name}{{{label}="{_escaped(key)}"}} {value:.10g}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
