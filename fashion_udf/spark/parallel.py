"""Several Spark queries at a time: a query of few rows leaves cores idle, as do its planning and committing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext


def run_concurrently(context: SparkContext, name: str, queries: Iterable[Callable[[], Any]], at_most: int) -> list[Any]:
    """Return the results of the queries, in their order. After an error or a signal, running queries are cancelled.

    Args:
        context: where the queries run.
        name: of the queries on Spark's pages.
        queries: started in this order.
        at_most: queries that run at a time.

    Raises:
        Exception: of the first query in this order that failed.
    """
    group = str(uuid.uuid4())  # only these queries are cancelled, no others of the session

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
