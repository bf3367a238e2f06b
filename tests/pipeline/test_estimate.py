"""What a run would cost: by the newest run that tells, and nothing at all where none does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.pipeline import estimate
from fashion_udf.table.commit import Commit, DataFile


def _ran(output: Path, run_id: str, metrics: Any) -> None:
    (output / "runs" / run_id).mkdir(parents=True)
    text = metrics if isinstance(metrics, str) else json.dumps(metrics)
    (output / "runs" / run_id / "metrics.json").write_text(text)


def _commit(*files: tuple[int, int]) -> Commit:
    described = tuple(DataFile(f"{index}.parquet", size, rows, "0" * 64) for index, (size, rows) in enumerate(files))
    return Commit(1, "r1", None, "2026-01-01T00:00:00Z", "r1", "v1", described)


def test_bytes_follow_the_published_rows() -> None:
    assert estimate.table_bytes(_commit((1000, 10), (2000, 20)), 7) == 700


@pytest.mark.parametrize("published", [None, _commit(), _commit((500, 0))])
def test_a_first_table_is_estimated_by_the_row(published: Commit | None) -> None:
    assert estimate.table_bytes(published, 10) == 10 * estimate.ROW_BYTES


def test_seconds_follow_the_newest_run_that_scored(tmp_path: Path) -> None:
    _ran(tmp_path, "20260101", {"rows_per_core_second": 1.0})
    _ran(tmp_path, "20260102", {"rows_per_core_second": 50.0})
    _ran(tmp_path, "20260103", {"seconds": {}})
    assert estimate.core_seconds(str(tmp_path), 1000) == 20
    assert estimate.core_seconds(f"file://{tmp_path}", 0) == 0


def test_without_a_run_nothing_is_told(tmp_path: Path) -> None:
    assert estimate.core_seconds(str(tmp_path / "nowhere"), 1000) is None


@pytest.mark.parametrize("metrics", ["", "{", "[]", "null", "\ud800", {"rows_per_core_second": None}])
@pytest.mark.parametrize("rate", [0, -1, "fast", [1]])
def test_a_damaged_report_is_passed_over(tmp_path: Path, metrics: Any, rate: Any) -> None:
    _ran(tmp_path, "20260101", {"rows_per_core_second": 50})
    if metrics == "\ud800":
        _ran(tmp_path, "20260102", "")
        (tmp_path / "runs" / "20260102" / "metrics.json").write_bytes(b"\xff\xfe")
    else:
        _ran(tmp_path, "20260102", metrics)
    _ran(tmp_path, "20260103", {"rows_per_core_second": rate})
    (tmp_path / "runs" / "20260104" / "metrics.json").mkdir(parents=True)
    assert estimate.core_seconds(str(tmp_path), 100) == 2


def test_no_more_than_the_newest_runs_are_looked_through(tmp_path: Path) -> None:
    _ran(tmp_path, "000", {"rows_per_core_second": 1.0})
    for index in range(1, 30):
        _ran(tmp_path, f"{index:03d}", {})
    assert estimate.core_seconds(str(tmp_path), 1) is not None
    _ran(tmp_path, "030", {})
    assert estimate.core_seconds(str(tmp_path), 1) is None
