"""One thread that ends calls after their time limit. To start a thread for each photo takes as long as its request."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

TICK = 0.1  # seconds by which a call may exceed its limit

_ends: dict[Callable[[], None], float] = {}
_lock = threading.Lock()
_watching = False


def watch(end: Callable[[], None], deadline: float) -> None:
    """Call `end` once after the deadline, in another thread, unless `forget` is called before.

    Args:
        end: must not raise.
        deadline: a time of `time.monotonic`.
    """
    global _watching
    with _lock:
        _ends[end] = deadline
        if _watching:
            return
        _watching = True
    threading.Thread(target=_watch, name="time limits", daemon=True).start()


def forget(end: Callable[[], None]) -> None:
    """Do not call `end` any more. It may already be running."""
    with _lock:
        _ends.pop(end, None)


def _watch() -> None:
    """End the calls that are late, until no call is left to watch."""
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
    _lock, _watching = threading.Lock(), False  # the parent's thread does not exist in the child


os.register_at_fork(after_in_child=_after_fork)
