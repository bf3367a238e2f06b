"""How a run ended, for programs: `outcome.json` and `metrics.json` in `runs/<run_id>/`."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from fashion_udf.errors import FashionError
from fashion_udf.files import make_directory, replace_file

logger = logging.getLogger(__name__)


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
