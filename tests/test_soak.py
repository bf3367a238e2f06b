"""A soak goes on for its share of the time, draws by its seed, and counts what it finds."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from tests import soak
from tests.submit import REPOSITORY


@pytest.fixture(autouse=True)
def _counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "TOTALS", Counter())


def _drawn(name: str, few: int) -> list[float]:
    return [draws.random() for _, draws in soak.rounds(name, few)]


def test_without_a_soak_there_are_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "SECONDS", 0.0)
    assert len(_drawn("kills", 3)) == soak.TOTALS["kills"] == 3


def test_a_soak_goes_on_for_its_share_of_the_time_and_never_has_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(soak.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(soak, "SECONDS", 40.0)
    monkeypatch.setattr(soak, "sharing", 4)
    assert len(_drawn("kills", 2)) == 11  # two without a look at the clock, then one a second
    monkeypatch.setattr(soak, "SECONDS", 0.1)
    assert len(_drawn("kills", 2)) == 2


def test_another_seed_gives_other_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    first = _drawn("kills", 3)
    assert first == _drawn("kills", 3) != _drawn("faults", 3)
    monkeypatch.setattr(soak, "SEED", 8)
    assert first != _drawn("kills", 3)


def test_rows_that_are_lost_or_wrong_are_counted_and_fail() -> None:
    soak.require_rows({"a": 1}, {"a": 1})
    with pytest.raises(AssertionError, match="the third kill"):
        soak.require_rows({"a": 1, "b": 3, "d": 1}, {"a": 1, "b": 2, "c": 1}, "the third kill")
    assert soak.TOTALS == {"rows checked": 4, "rows lost": 1, "rows wrong": 2}


def test_a_soak_runs_the_marked_tests_alone_and_ends_with_totals() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/table/test_readers.py", "-k", "view"],
        cwd=REPOSITORY,
        env={**soak.os.environ, "SOAK_SECONDS": "0.1", "SOAK_SEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert "seed 7, 0 s: 200 readings of the view, 0 rows checked" in ended.stdout
