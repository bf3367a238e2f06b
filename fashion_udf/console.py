"""What a run tells a person at its end: a summary, and the files of `runs/<run_id>/`."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fashion_udf.errors import FashionError
from fashion_udf.files import make_directory, replace_file

logger = logging.getLogger(__name__)


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
