"""The files in which a run says how it ended."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from fashion_udf.errors import CommitConflictError, GateRefusedError, Stopped
from fashion_udf.pipeline import outcome
from fashion_udf.pipeline.outcome import Preview, RunCounts
from tests.tables import at

#: What `outcome.json` holds of three new rows.
_ZERO = ("rejected", "scored", "carried", "resting", "removed", "duplicates", "staged")
COUNTS = {"accepted": 3, **dict.fromkeys(_ZERO, 0), "reason.new": 3}


def test_the_outcome_is_exact_json(tmp_path: Path) -> None:
    outcome.write_outcome(at(tmp_path / "runs/r"), 3, {"scored": 2, "carried": 1}, "a gate refused")
    assert (tmp_path / "runs/r/outcome.json").read_text() == (
        '{\n  "counts": {\n    "carried": 1,\n    "scored": 2\n  },\n'
        '  "exit_code": 3,\n  "message": "a gate refused"\n}\n'
    )


def test_a_later_outcome_replaces_the_earlier_one_and_leaves_no_litter(tmp_path: Path) -> None:
    outcome.write_outcome(at(tmp_path), 1, {}, "first")
    outcome.write_outcome(at(tmp_path), 0, {}, "second")
    assert json.loads((tmp_path / "outcome.json").read_text())["message"] == "second"
    assert os.listdir(tmp_path) == ["outcome.json"]


def test_metrics_are_json_that_every_reader_accepts(tmp_path: Path) -> None:
    outcome.write_metrics(at(tmp_path), {"b": math.nan, "a": {"rows": [1, math.inf], "ok": True}})
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text) == {"a": {"ok": True, "rows": [1, None]}, "b": None}
    assert text.index('"a"') < text.index('"b"') and "NaN" not in text


def _outcome(directory: Path) -> dict[str, object]:
    written: dict[str, object] = json.loads((directory / "outcome.json").read_text())
    return written


def test_a_run_that_ends_well_leaves_exit_code_0_and_its_counts(tmp_path: Path) -> None:
    with outcome.recorded(at(tmp_path)) as record:
        record.counts = RunCounts(accepted=3, reasons={"new": 3})
    assert _outcome(tmp_path) == {"exit_code": 0, "counts": COUNTS, "message": "done"}


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (GateRefusedError("Expected 3 rows. Received: 2"), 3, "Expected 3 rows. Received: 2"),
        (CommitConflictError("another run"), 4, "another run"),
        (ValueError("odd"), 1, "ValueError: odd"),
        (KeyboardInterrupt(), 1, "stopped by KeyboardInterrupt"),
        (Stopped("SIGTERM"), 143, "stopped by SIGTERM; what is done is kept: run again"),
    ],
)
def test_a_run_that_fails_leaves_its_exit_code_and_message(
    tmp_path: Path, error: BaseException, exit_code: int, message: str
) -> None:
    with pytest.raises(type(error)), outcome.recorded(at(tmp_path)) as record:
        record.counts = RunCounts(accepted=3, reasons={"new": 3})
        raise error
    assert _outcome(tmp_path) == {"exit_code": exit_code, "counts": COUNTS, "message": message}


def test_an_outcome_that_cannot_be_written_hides_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(GateRefusedError, match="mine"), outcome.recorded(at(tmp_path / "runs/r")):
        raise GateRefusedError("mine")
    assert "the run ended with exit code 3, but outcome.json was not written: " in caplog.text


def test_the_counts_of_a_group_are_named_after_it() -> None:
    counts = RunCounts(scored=2, reasons={"new": 2}, unchanged={"same_photo": 1}, statuses={"ok": 3})
    assert [name for name in counts.as_dict() if "." in name] == ["reason.new", "unchanged.same_photo", "status.ok"]


def test_unreadable_texts_are_counted_only_where_a_table_was_made() -> None:
    assert "unreadable_texts" not in RunCounts().as_dict()
    assert RunCounts(unreadable_texts=0).as_dict()["unreadable_texts"] == 0


def test_a_preview_tells_rows_as_rows_and_costs_with_their_unit_and_seconds_only_where_a_run_has_scored() -> None:
    counts = RunCounts(accepted=10)
    known = Preview(counts, table_rows=10, table_bytes=13_000, core_seconds=40.2, cores=2)
    table = ("table", 13_000, "bytes")
    assert known.costs() == [table, ("scoring", 20, "seconds"), ("core_time", 40, "core seconds")]
    unknown = Preview(counts, table_rows=10, table_bytes=13_000, core_seconds=None, cores=2)
    assert unknown.costs() == [table]
    sample = {"sampled_texts": 0, "unreadable_of_sample": 0}
    assert known.as_dict() == unknown.as_dict() == {**counts.as_dict(), "table_rows": 10, **sample}
