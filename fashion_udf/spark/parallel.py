"""Several Spark queries at a time: a query of few rows leaves cores idle, as do its planning and committing."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark import SparkContext

#: Seconds between two calls that cancel what still runs: a query has several jobs, and only those begun are cancelled.
_CANCEL_SECONDS = 1.0


def run_concurrently(context: SparkContext, name: str, queries: Iterable[Callable[[], Any]], at_most: int) -> list[Any]:
    """Return the results of the queries, in their order. After an error or a signal, running queries are cancelled.

    Args:
        context: where the queries run.
        name: of the queries on Spark's pages.
        queries: started in this order.
        at_most: queries that run at a time.

    Raises:
        Exception: of the query that failed first, at once: no other query is waited for before the rest is cancelled.
    """
    group = str(uuid.uuid4())  # only these queries are cancelled, no others of the session

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
    """Cancel the jobs of a group until none of its queries goes on.

    Once is not enough: a query that is being planned starts its job after the cancellation. Spark itself may be gone
    already, and the error that led here says why.
    """
    while True:
        with contextlib.suppress(Exception):
            context.cancelJobGroup(group)
        running = [future for future in futures if not future.done()]
        if not wait(running, timeout=_CANCEL_SECONDS).not_done:
            return
