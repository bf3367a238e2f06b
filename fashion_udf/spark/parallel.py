"""Run several Spark queries at a time: a small query, its planning and its commit leave cores idle."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext

#: Seconds between two cancellations: a query has several jobs, and a cancellation only ends those that have started.
_CANCEL_SECONDS = 1.0


def run_concurrently(context: SparkContext, name: str, queries: Iterable[Callable[[], Any]], at_most: int) -> list[Any]:
    """Return the results of the queries, in their order. After an error or a signal, running queries are cancelled.

    Args:
        context: the Spark context.
        name: name of the queries in Spark's UI.
        queries: the queries, which start in this order.
        at_most: maximum of queries at a time.

    Raises:
        Exception: the exception of the query that failed first. The other queries are cancelled immediately.
    """
    group = str(uuid.uuid4())  # the group limits the cancellation to these queries

    def grouped(query: Callable[[], Any]) -> Any:
        context.setJobGroup(group, name)
        return query()

    with ThreadPoolExecutor(at_most, thread_name_prefix="query") as pool:
        futures: list[Future[Any]] = []
        failed: list[Future[Any]] = []  # in the order in which they failed
        try:
            for query in queries:
                futures.append(future := pool.submit(grouped, query))
                future.add_done_callback(
                    lambda done: None if done.cancelled() or not done.exception() else failed.append(done)
                )
            wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in failed[:1] or futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _cancel(context, group, futures)
            raise


def _cancel(context: SparkContext, group: str, futures: Sequence[Future[Any]]) -> None:
    """Cancel the jobs of a group until all of its queries have ended.

    The cancellation is repeated, because a query that is being planned starts its job afterwards. If Spark has already
    ended, the original error tells why.
    """
    while True:
        with contextlib.suppress(Exception):
            context.cancelJobGroup(group)
        running = [future for future in futures if not future.done()]
        if not wait(running, timeout=_CANCEL_SECONDS).not_done:
            return
