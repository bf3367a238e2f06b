"""Imported by Python itself at its start, since the benchmark puts this folder on PYTHONPATH; works in Spark's workers.

`BENCHMARK_MARKS`: a folder; each worker writes `first-<pid>` there, the seconds from its fork to its first results.
`BENCHMARK_PHOTO_LATENCY`: seconds that every photo by URI takes longer; the worker writes `slow-<pid>` once it did.

The daemon that forks the workers is changed, so that a worker finds everything in place. The library is not touched
unless a latency is asked for.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def _age() -> float:
    """Return the seconds since this process was forked, in steps of 10 ms (proc(5), `starttime`)."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _mark(folder: Path, kind: str, text: str) -> None:
    path = folder / f"{kind}-{os.getpid()}"
    if not path.exists():
        path.write_text(text, encoding="utf-8")


def _tell_first_batch(folder: Path) -> None:
    from pyspark.sql.pandas.serializers import ArrowStreamSerializer

    dump_stream = ArrowStreamSerializer.dump_stream

    def told(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            _mark(folder, "first", str(_age()))
            yield batch

    @functools.wraps(dump_stream)
    def dump(self: Any, iterator: Iterator[Any], stream: Any) -> Any:
        return dump_stream(self, told(iterator), stream)  # type: ignore[no-untyped-call]

    ArrowStreamSerializer.dump_stream = dump  # type: ignore[method-assign]


def _slow_photos(folder: Path, latency: float) -> None:
    from fashion_udf.photos import fetch

    read = fetch.read

    @functools.wraps(read)
    def slow(*arguments: Any, **named: Any) -> fetch.Photo:
        _mark(folder, "slow", "")
        time.sleep(latency)
        return read(*arguments, **named)

    fetch.read = slow


if "pyspark.daemon" in sys.orig_argv and "BENCHMARK_MARKS" in os.environ:
    _folder = Path(os.environ["BENCHMARK_MARKS"])
    _tell_first_batch(_folder)
    if "BENCHMARK_PHOTO_LATENCY" in os.environ:
        _slow_photos(_folder, float(os.environ["BENCHMARK_PHOTO_LATENCY"]))
