"""Summaries, and the files of a run's report directory."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from fashion_udf import console
from fashion_udf.errors import CommitConflictError, GateRefusedError


def test_a_summary_shows_counts_and_shares_largest_first() -> None:
    counts = {"accepted": 7687, "status.image_none": 87, "status.ok": 7600, "rejected": 0, "modality.both": 1}
    assert console.summary(counts) == (
        "run       rows\n"
        "--------  ----\n"
        "accepted  7687\n"
        "rejected     0\n"
        "\n"
        "status      rows  share\n"
        "----------  ----  ------\n"
        "ok          7600  98.9 %\n"
        "image_none    87  1.1 %\n"
        "\n"
        "modality  rows  share\n"
        "--------  ----  -------\n"
        "both         1  100.0 %\n"
    )


def test_a_summary_of_nothing_is_empty() -> None:
    assert console.summary({}) == ""
    assert console.summary({"status.ok": 0}).splitlines()[2] == "ok         0  0.0 %"


def test_a_table_aligns_numbers_right_and_words_left() -> None:
    assert console.table(("id", "confidence"), [("007", 0.5), ("a", None)]) == (
        "id   confidence\n---  ----------\n007       0.500\na          null\n"
    )


def test_an_escape_sequence_in_the_data_never_reaches_the_terminal() -> None:
    text = console.table(("a\x1b[2J",), [("\x1b]0;owned\x07\n\u202e",), ("Größe",)])
    assert "\x1b" not in text and "\\x1b]0;owned\\x07\\n\\u202e" in text and "Größe" in text
    assert text.count("\n") == 4


def test_the_outcome_is_exact_json(tmp_path: Path) -> None:
    console.write_outcome(tmp_path / "runs/r", 3, {"scored": 2, "carried": 1}, "a gate refused")
    assert (tmp_path / "runs/r/outcome.json").read_text() == (
        '{\n  "counts": {\n    "carried": 1,\n    "scored": 2\n  },\n'
        '  "exit_code": 3,\n  "message": "a gate refused"\n}\n'
    )


def test_a_later_outcome_replaces_the_earlier_one_and_leaves_no_litter(tmp_path: Path) -> None:
    console.write_outcome(tmp_path, 1, {}, "first")
    console.write_outcome(tmp_path, 0, {}, "second")
    assert json.loads((tmp_path / "outcome.json").read_text())["message"] == "second"
    assert os.listdir(tmp_path) == ["outcome.json"]


def test_metrics_are_json_that_every_reader_accepts(tmp_path: Path) -> None:
    console.write_metrics(tmp_path, {"b": math.nan, "a": {"rows": [1, math.inf], "ok": True}})
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text) == {"a": {"ok": True, "rows": [1, None]}, "b": None}
    assert text.index('"a"') < text.index('"b"') and "NaN" not in text


def _outcome(directory: Path) -> dict[str, object]:
    written: dict[str, object] = json.loads((directory / "outcome.json").read_text())
    return written


def test_a_run_that_ends_well_leaves_exit_code_0_and_its_counts(tmp_path: Path) -> None:
    with console.recorded(tmp_path) as counts:
        counts["accepted"] = 3
    assert _outcome(tmp_path) == {"exit_code": 0, "counts": {"accepted": 3}, "message": "done"}


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (GateRefusedError("Expected 3 rows. Received: 2"), 3, "Expected 3 rows. Received: 2"),
        (CommitConflictError("another run"), 4, "another run"),
        (ValueError("odd"), 1, "ValueError: odd"),
        (KeyboardInterrupt(), 1, "stopped by KeyboardInterrupt"),
    ],
)
def test_a_run_that_fails_leaves_its_exit_code_and_message(
    tmp_path: Path, error: BaseException, exit_code: int, message: str
) -> None:
    with pytest.raises(type(error)), console.recorded(tmp_path) as counts:
        counts["accepted"] = 3
        raise error
    assert _outcome(tmp_path) == {"exit_code": exit_code, "counts": {"accepted": 3}, "message": message}


def test_an_outcome_that_cannot_be_written_hides_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(GateRefusedError, match="mine"), console.recorded(tmp_path / "runs/r"):
        raise GateRefusedError("mine")
    assert "the run ended with exit code 3, but outcome.json was not written: " in caplog.text
