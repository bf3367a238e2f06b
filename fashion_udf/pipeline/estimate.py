"""Estimate the cost of a run from earlier runs."""

from __future__ import annotations

import json

from fashion_udf.table import paths
from fashion_udf.table.commit import Commit
from fashion_udf.table.stores import open_store

#: Assumed bytes of a row if no table is published: 256 floats, and the other columns compressed.
ROW_BYTES = 1300
_MAX_REPORT_BYTES = 64_000_000
_RUNS = 30  # number of newest runs that are searched for a figure


def table_bytes(published: Commit | None, rows: int) -> int:
    """Return the approximate bytes of a table of `rows` rows, from the size of the published one."""
    size = published.size / published.rows if published and published.rows else ROW_BYTES
    return round(rows * size)


def core_seconds(output: str, rows: int) -> float | None:
    """Return the estimated core seconds of scoring `rows`; None if no run has scored yet."""
    rate = _rate(output)
    return None if rate is None else rows / rate


def _rate(output: str) -> float | None:
    """Return the scored rows per core and second, of the newest run that has the figure."""
    store = open_store(output)
    for run in sorted(store.list_names(paths.RUNS), reverse=True)[:_RUNS]:
        try:
            report = store.read(f"{paths.RUNS}/{run}/metrics.json", _MAX_REPORT_BYTES)
            rate = json.loads(report).get("rows_per_core_second")
        except (OSError, ValueError, AttributeError):
            continue  # a damaged report must not stop a plan
        if isinstance(rate, int | float) and rate > 0:
            return float(rate)
    return None
