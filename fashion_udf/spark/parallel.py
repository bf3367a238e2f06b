"""Several Spark queries at a time: planning and committing one leaves the cores idle, which its few rows never fill."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext


def run_concurrently(context: SparkContext, name: str, queries: Iterable[Callable[[], Any]], at_most: int) -> list[Any]:
    """Return what the queries return, in their order; in case of an error or a signal, those that run are cancelled.

    Args:
        context: where they run.
        name: what Spark's pages call them.
        queries: begun in this order.
        at_most: so many at a time.

    Raises:
        Exception: of the first query, in their order, that failed.
    """
    group = str(uuid.uuid4())  # what is cancelled is ours, whatever else runs in the session

    def grouped(query: Callable[[], Any]) -> Any:
        context.setJobGroup(group, name)
        return query()

    with ThreadPoolExecutor(at_most, thread_name_prefix="query") as pool:
        futures = [pool.submit(grouped, query) for query in queries]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            context.cancelJobGroup(group)
            raise
