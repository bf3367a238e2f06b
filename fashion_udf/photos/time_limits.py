"""Ends of calls that take too long, from one thread: a thread for each photo took as long as the photo's request."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

TICK = 0.1  # seconds that a call may take longer than its limit

_ends: dict[Callable[[], None], float] = {}
_lock = threading.Lock()
_watching = False


def watch(end: Callable[[], None], deadline: float) -> None:
    """Call `end` once, by another thread, unless it is forgotten before.

    Args:
        end: must not raise.
        deadline: of `time.monotonic`.
    """
    global _watching
    with _lock:
        _ends[end] = deadline
        if _watching:
            return
        _watching = True
    threading.Thread(target=_watch, name="time limits", daemon=True).start()


def forget(end: Callable[[], None]) -> None:
    """Do not call `end` any more; it may be running."""
    with _lock:
        _ends.pop(end, None)


def _watch() -> None:
    """End what is late, until nothing is left to watch."""
    global _watching
    while True:
        time.sleep(TICK)
        now = time.monotonic()
        with _lock:
            if not _ends:
                _watching = False
                return
            late = [end for end, deadline in _ends.items() if deadline <= now]
            for end in late:
                del _ends[end]
        for end in late:
            end()


def _after_fork() -> None:
    global _lock, _watching
    _ends.clear()
    _lock, _watching = threading.Lock(), False  # the parent's thread is not here


os.register_at_fork(after_in_child=_after_fork)
