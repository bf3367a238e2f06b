"""What a run tells a person: progress while it works, a summary at its end, and the files of `runs/<run_id>/`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TextIO

from fashion_udf.errors import FashionError
from fashion_udf.store import make_directory, replace_file

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 10
_SHARE_BETWEEN_LINES = 0.05


class Progress(Protocol):
    """Follows a count of rows."""

    def update(self, done_rows: int) -> None:
        """Tell how many rows are done in all; more than the total (a task ran twice) counts as the total."""


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
        clock: seconds, from any origin; for tests of the plain lines.
    """
    stream = stream or sys.stderr
    if stream.isatty() and importlib.util.find_spec("rich"):
        with _bar(total_rows, stream, label) as bar:
            yield bar
    else:
        yield _Lines(total_rows, stream, label, clock)


def summary(counts: Mapping[str, int]) -> str:
    """Plain-text tables of a run's counts, such as `accepted`, `status.ok` and `decision.review`.

    Counts without a dot come first, as they are; the others form one table per word before the dot, largest count
    first, with shares.
    """
    groups: dict[str, dict[str, int]] = {}
    for key, count in counts.items():
        group, _, name = key.rpartition(".")
        groups.setdefault(group, {})[name] = count
    parts = [table(("run", "rows"), run.items())] if (run := groups.pop("", {})) else []
    for group, values in groups.items():
        total = max(1, sum(values.values()))
        ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        parts.append(table((group, "rows", "share"), [(*item, f"{100 * item[1] / total:.1f} %") for item in ordered]))
    return "\n".join(parts)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Plain text in aligned columns, numbers to the right; control characters from the data are shown, not sent."""
    data = [list(row) for row in rows]
    texts = [[_plain(name) for name in columns], *([_cell(value) for value in row] for row in data)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    numeric = [bool(column) and all(_is_number(value) for value in column) for column in zip(*data, strict=True)]
    numeric = numeric or [False] * len(widths)
    texts.insert(1, ["-" * width for width in widths])
    lines = (
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in texts
    )
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def recorded(directory: Path) -> Iterator[dict[str, int]]:
    """Write `outcome.json` however the run inside ends; yields the counts for the run to fill in.

    A report that cannot be written is a warning: it must change neither the outcome nor the error a person sees.
    """
    counts: dict[str, int] = {}
    exit_code, message = 0, "done"
    try:
        yield counts
    except Exception as error:
        exit_code = error.exit_code if isinstance(error, FashionError) else 1
        message = str(error) if isinstance(error, FashionError) else f"{type(error).__name__}: {error}"
        raise
    except BaseException as error:  # Ctrl-C, or a scheduler's SIGTERM turned into SystemExit
        exit_code, message = 1, f"stopped by {type(error).__name__}"
        raise
    finally:
        try:
            write_outcome(directory, exit_code, counts, message)
        except OSError as error:
            logger.warning("the run ended with exit code %d, but outcome.json was not written: %s", exit_code, error)


def write_outcome(directory: Path, exit_code: int, counts: Mapping[str, int], message: str) -> None:
    """Write `outcome.json`: how the run ended, for schedulers that hide its exit code (YARN cluster mode does)."""
    _write_json(directory / "outcome.json", {"exit_code": exit_code, "counts": counts, "message": message})


def write_metrics(directory: Path, metrics: Mapping[str, object]) -> None:
    """Write `metrics.json`; a number that is not finite becomes null, which every JSON reader accepts."""
    _write_json(directory / "metrics.json", metrics)


def _write_json(path: Path, tree: Mapping[str, object]) -> None:
    make_directory(path.parent)
    replace_file(path, json.dumps(_finite(tree), sort_keys=True, indent=2, allow_nan=False).encode() + b"\n")


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _cell(value: object) -> str:
    if value is None:
        return "null"
    return _plain(f"{value:.3f}" if isinstance(value, float) else str(value))


def _plain(text: str) -> str:
    """A catalog is a stranger's: an escape sequence in a product's id must not reach the terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _rate(rows: int, seconds: float) -> str:
    rate = rows / seconds if seconds > 0 else 0.0
    return f"{rate:.1f} rows/s" if 0 < rate < 10 else f"{rate:.0f} rows/s"


class _Lines:
    """A line whenever 10 s have passed or 5 % more is done, so that a log stays short and shows a stall."""

    def __init__(self, total_rows: int, stream: TextIO, label: str, clock: Callable[[], float]) -> None:
        self._total = total_rows
        self._stream = stream
        self._label = label
        self._clock = clock
        self._start = self._last_time = clock()
        self._last_done = 0

    def update(self, done_rows: int) -> None:
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
        if done == self._total:
            line += f", took {_duration(elapsed)}"
        elif done:
            line += f", {_duration(elapsed / done * (self._total - done))} left"
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
        TextColumn("{task.percentage:.0f} % {task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with RichProgress(*columns, console=Console(file=stream)) as bar:
        task = bar.add_task(label, total=total_rows, rate="")
        started = time.monotonic()

        class _Bar:
            def update(self, done_rows: int) -> None:
                done = min(done_rows, total_rows)
                bar.update(task, completed=done, rate=_rate(done, time.monotonic() - started))

        yield _Bar()
