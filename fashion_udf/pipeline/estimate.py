"""What a run would cost, from what earlier runs took."""

from __future__ import annotations

import json
from pathlib import Path

from fashion_udf.table.commit import Commit
from fashion_udf.table.store import local_path

#: Bytes of a row if no table is published: 256 floats, and the rest compressed.
ROW_BYTES = 1300
_RUNS = 30  # newest runs that are searched for a figure


def table_bytes(published: Commit | None, rows: int) -> int:
    """Return the approximate bytes of a table of `rows` rows, from the size of the published one."""
    size = published.size / published.rows if published and published.rows else ROW_BYTES
    return round(rows * size)


def core_seconds(output: str, rows: int) -> float | None:
    """Return the core seconds that scoring `rows` should take; None if no run has scored yet."""
    rate = _rate(local_path(output) / "runs")
    return None if rate is None else rows / rate


def _rate(runs: Path) -> float | None:
    """Return the rows that a core scored in a second, from the newest run that has the figure."""
    for path in sorted(runs.glob("*/metrics.json"), reverse=True)[:_RUNS]:
        try:
            rate = json.loads(path.read_bytes()).get("rows_per_core_second")
        except (OSError, ValueError, AttributeError):
            continue  # a damaged report must not stop a plan
        if isinstance(rate, int | float) and rate > 0:
            return float(rate)
    return None
