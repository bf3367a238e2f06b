"""The processes that this one has started: Spark's Java processes and Python workers, and what each held at most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from fashion_udf.repeated import repeated


def started(word: str) -> list[int]:
    """Return the processes below this one that have a word in their command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            found += [process.pid] if word in " ".join(process.cmdline()) else []
    return found


def peak(process: int) -> int:
    """Return the most bytes of memory that a process has held; 0 if it has ended."""
    with suppress(OSError):
        held = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(held[1]) * 1024 if held else 0
    return 0


@contextmanager
def peaks(word: str) -> Iterator[dict[int, int]]:
    """Yield the `peak` of each process of `started`, which is looked up twice a second while the block runs."""
    found: dict[int, int] = {}

    def look() -> None:
        found.update({process: held for process in started(word) if (held := peak(process))})

    with repeated(look, 0.5, "peaks"):
        yield found
