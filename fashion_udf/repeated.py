"""A function that is called again and again while a block runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def repeated(act: Callable[[], object], seconds: float, name: str) -> Iterator[None]:
    """Call a function in a thread of that name, first after so many seconds; when the block ends, it is not running.

    An error of the function ends the calls, and not the block.
    """
    finished = threading.Event()

    def beat() -> None:
        while not finished.wait(seconds):
            act()

    thread = threading.Thread(target=beat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
