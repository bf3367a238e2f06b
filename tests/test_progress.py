"""Progress that a person can follow: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import builtins
import importlib.util
import io

import pytest

from fashion_udf.progress import progress


class _Clock:
    """Seconds that pass only when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def _lines(total: int, steps: list[tuple[float, int]], label: str = "scored") -> list[str]:
    stream, clock = io.StringIO(), _Clock()
    with progress(total, stream, label, clock) as bar:
        for seconds, done in steps:
            clock.now = 100.0 + seconds
            bar.update(done)
    return stream.getvalue().splitlines()


def test_a_line_says_rows_speed_and_time_left() -> None:
    assert _lines(7687, [(27.9, 1200)]) == ["scored 1200 of 7687 rows (15 %), 43 rows/s, 2 min 31 s left"]


def test_the_last_line_says_how_long_it_took() -> None:
    assert _lines(10, [(4, 10), (5, 10)], "read") == ["read 10 of 10 rows (100 %), 2.5 rows/s, took 4 s"]


def test_a_line_comes_each_five_percent_or_ten_seconds_and_not_more_often() -> None:
    fast = _lines(1000, [(i / 1000, i) for i in range(1001)])
    assert len(fast) == 20 and fast[0].startswith("scored 50 of 1000 rows (5 %)")
    slow = _lines(1_000_000, [(float(i), i) for i in range(101)])
    assert [line.split()[1] for line in slow] == [str(i) for i in range(10, 101, 10)]


def test_a_stall_before_the_first_row_shows() -> None:
    assert _lines(100, [(5, 0), (11, 0)]) == ["scored 0 of 100 rows (0 %), 0 rows/s"]


def test_rows_counted_twice_are_no_more_than_all() -> None:
    assert _lines(10, [(1, 25)]) == ["scored 10 of 10 rows (100 %), 10 rows/s, took 1 s"]


def test_no_rows_are_no_lines() -> None:
    assert _lines(0, [(1, 0)]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (7260, "2 h 01 min")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    (line,) = _lines(2, [(seconds, 1)])
    assert line.endswith(f" rows/s, {text} left")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    with progress(200, stream) as bar:
        bar.update(50)
        bar.update(250)
    assert "scored 200 of 200 rows" in stream.getvalue() and "100 %" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


def test_a_terminal_without_rich_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    stream = _Terminal()
    with progress(10, stream) as bar:
        bar.update(10)
    assert stream.getvalue().startswith("scored 10 of 10 rows (100 %)")


def test_a_log_does_not_load_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def refuse(name: str, *args: object, **options: object) -> object:
        assert not name.startswith("rich")
        return load(name, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with progress(10, io.StringIO()) as bar:
        bar.update(10)


@pytest.mark.parametrize("stream", [io.StringIO(), _Terminal()])
def test_an_error_while_working_is_not_swallowed(stream: io.StringIO) -> None:
    with pytest.raises(ImportError, match="mine"), progress(10, stream):
        raise ImportError("mine")


def test_a_detail_is_shown_after_the_speed() -> None:
    stream, clock = io.StringIO(), _Clock()
    with progress(10, stream, "trained", clock) as bar:
        clock.now += 4
        bar.update(5, "loss 0.731")
    assert stream.getvalue() == "trained 5 of 10 rows (50 %), 1.2 rows/s, loss 0.731, 4 s left\n"
