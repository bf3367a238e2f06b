"""Read the reports of earlier runs in `<output>/runs/`: a line for each run, and the figures of the newest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fashion_udf.pages.figures import FormerRun
from fashion_udf.schema import NOT_A_FAILURE
from fashion_udf.table.store import Store

#: Number of runs in a page's curves, and in the list of runs.
CURVES, LISTED = 30, 200
_AT_A_TIME = 16  # concurrent reads of files: each is a request to an object store
#: Maximum of bytes that are read of a report.
MAX_BYTES = 32_000_000


@dataclass(frozen=True)
class Report:
    """`outcome.json` and `metrics.json` of a run. A missing or damaged file is an empty mapping."""

    run_id: str
    outcome: Mapping[str, Any]
    metrics: Mapping[str, Any]


def read(store: Store, most: int) -> list[Report]:
    """Return the reports of the last runs, oldest first, without those that published similar products."""
    run_ids = [name for name in store.list_names("runs") if not name.startswith(".")][-most:]
    keys = [f"runs/{run_id}/{name}.json" for run_id in run_ids for name in ("outcome", "metrics")]
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="reports") as pool:
        trees = [*pool.map(lambda key: tree(store, key), keys)]
    found = [Report(run_id, *trees[2 * place : 2 * place + 2]) for place, run_id in enumerate(run_ids)]
    return [report for report in found if "compared" not in _mapping(report.outcome.get("counts"))]


def tree(store: Store, key: str) -> dict[str, Any]:
    """Return a JSON object; an empty one if the file is missing or damaged, which must not fail another report."""
    try:
        found = json.loads(store.read(key, MAX_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def line(report: Report) -> FormerRun:
    """Return a run as one line."""
    metrics, outcome = report.metrics, report.outcome
    rows = _count(metrics.get("rows"))
    decisions, statuses = _counts(metrics.get("decisions")), _counts(metrics.get("statuses"))
    failed = sum(count for status, count in statuses.items() if status not in {*NOT_A_FAILURE})
    times = [value for value in _mapping(metrics.get("seconds")).values() if isinstance(value, (int, float))]

    def share(count: int) -> float | None:
        return count / rows if rows else None

    code = outcome.get("exit_code")
    scored = _count(_mapping(outcome.get("counts")).get("scored"))
    return FormerRun(
        run_id=report.run_id,
        exit_code=code if isinstance(code, int) else 1,
        rows=rows,
        scored=scored if code in (0, 3) else None,  # otherwise it is the number of the plan
        auto=share(decisions.get("auto", 0)),
        review=share(decisions.get("review", 0)),
        abstain=share(decisions.get("abstain", 0)),
        failed=share(failed),
        seconds=sum(times) if times else None,
    )


def newest_figures(store: Store, reports: Sequence[Report]) -> tuple[dict[str, Any], list[int] | None]:
    """Return the newest `figures.json`, and the newest histogram."""
    newest: dict[str, Any] = {}
    for report in reversed(reports):
        figures = tree(store, f"runs/{report.run_id}/figures.json")
        newest = newest or figures
        if histogram := figures.get("histogram"):
            return newest, [int(count) for count in histogram]
    return newest, None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _counts(value: object) -> dict[str, int]:
    return {str(name): count for name, count in _mapping(value).items() if isinstance(count, int)}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None
