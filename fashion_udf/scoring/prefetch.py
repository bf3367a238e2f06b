"""Compute the results of a function ahead by threads, in order: photos are fetched while the engine works."""

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
    """Yield `function(item)` for each item, in order. An exception is raised at the turn of its item.

    Args:
        function: the function, which several threads call at the same time.
        items: the items, read in the caller's thread, at most `ahead` items before their turn.
        threads: number of threads that call the function. They end when the iterator is exhausted or closed. With 0,
            the caller's thread calls the function at the turn of an item.
        ahead: maximum of results that are computed or wait. It limits the memory.
    """
    if threads == 0:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
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
