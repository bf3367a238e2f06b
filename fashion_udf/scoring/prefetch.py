"""A function over items in order, called ahead of the one who uses the results: fetching while the engine works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int
) -> Generator[Result, None, None]:
    """Yield `function(item)` for each item, in order; what it raises is raised at its item's turn.

    Args:
        function: called by several threads at once.
        items: read in the caller's thread, at most `ahead` items before their turn.
        threads: that call the function, all ended when the iterator is exhausted or closed; 0 calls it in the caller's
            thread, when its result is asked for.
        ahead: most results that are waiting, or being worked on, while the caller uses one. Bounds the memory.
    """
    if threads == 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read-ahead")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
