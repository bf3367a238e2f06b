"""Progress on the terminal or in a log: rows done, rows per second, the time left."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

_SECONDS_BETWEEN_LINES = 10
_SHARE_BETWEEN_LINES = 0.05


class Progress(Protocol):
    """Shows how many rows are done."""

    def update(self, done_rows: int, detail: str = "") -> None:
        """Set the number of rows done. A number above the total (a task ran twice) counts as the total."""


@contextlib.contextmanager
def progress(
    total_rows: int,
    stream: TextIO | None = None,
    label: str = "scored",
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Show rows done, rows per second and the time left: a bar on a terminal that has rich, else plain lines.

    Args:
        total_rows: rows to do.
        stream: where to write; standard error if None.
        label: what happens to a row, in the past tense.
        clock: returns seconds, from any origin. Tests of the plain lines replace it.
    """
    stream = stream or sys.stderr
    if stream.isatty() and importlib.util.find_spec("rich"):
        with _bar(total_rows, stream, label) as bar:
            yield bar
    else:
        yield _Lines(total_rows, stream, label, clock)


class _Lines:
    """Writes a line after 10 s or 5 % of the rows, so that a log stays short and shows a stall."""

    def __init__(self, total_rows: int, stream: TextIO, label: str, clock: Callable[[], float]) -> None:
        self._total = total_rows
        self._stream = stream
        self._label = label
        self._clock = clock
        self._start = self._last_time = clock()
        self._last_done = 0

    def update(self, done_rows: int, detail: str = "") -> None:
        now = self._clock()
        done = min(done_rows, self._total)
        if done == self._total:
            due = done > self._last_done
        else:
            due = done - self._last_done >= _SHARE_BETWEEN_LINES * self._total
            due = due or now - self._last_time >= _SECONDS_BETWEEN_LINES
        if not due:
            return
        self._last_time, self._last_done = now, done
        elapsed = now - self._start
        line = f"{self._label} {done} of {self._total} rows ({100 * done // self._total} %), {_rate(done, elapsed)}"
        line += f", {detail}" if detail else ""
        if done == self._total:
            line += f", took {duration(elapsed)}"
        elif done:
            line += f", {duration(elapsed / done * (self._total - done))} left"
        self._stream.write(line + "\n")
        self._stream.flush()


@contextlib.contextmanager
def _bar(total_rows: int, stream: TextIO, label: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description} {task.completed:.0f} of {task.total:.0f} rows"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} % {task.fields[rate]} {task.fields[detail]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with RichProgress(*columns, console=Console(file=stream)) as bar:
        task = bar.add_task(label, total=total_rows, rate="", detail="")
        started = time.monotonic()

        class _Bar:
            def update(self, done_rows: int, detail: str = "") -> None:
                done = min(done_rows, total_rows)
                bar.update(task, completed=done, rate=_rate(done, time.monotonic() - started), detail=detail)

        yield _Bar()


def duration(seconds: float) -> str:
    """Return a duration as text, such as `12 s`, `3 min 05 s` or `2 h 07 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _rate(rows: int, seconds: float) -> str:
    rate = rows / seconds if seconds > 0 else 0.0
    return f"{rate:.1f} rows/s" if 0 < rate < 10 else f"{rate:.0f} rows/s"
