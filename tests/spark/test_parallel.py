"""Queries run side by side, in their order, and none goes on after one of them failed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fashion_udf.spark import parallel


class _Context:
    """Stands in for Spark's context: job groups by thread, and which were cancelled."""

    def __init__(self) -> None:
        self.groups: list[str] = []
        self.cancelled: list[str] = []
        self.on_cancel: Callable[[], None] = lambda: None

    def setJobGroup(self, group: str, _: str) -> None:
        self.groups.append(group)

    def cancelJobGroup(self, group: str) -> None:
        self.cancelled.append(group)
        self.on_cancel()


def test_results_come_in_the_order_of_the_queries_that_run_at_once() -> None:
    context: Any = _Context()
    meet = threading.Barrier(3, timeout=20)

    def query(number: int) -> Callable[[], int]:
        def run() -> int:
            meet.wait()
            return number

        return run

    assert parallel.run_concurrently(context, "name", [query(number) for number in range(3)], 3) == [0, 1, 2]
    assert len(context.groups) == 3 and len({*context.groups}) == 1 and context.cancelled == []
    assert parallel.run_concurrently(context, "name", [], 1) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_when_one_fails_those_that_run_are_cancelled_and_those_that_wait_do_not_begin(
    error: type[BaseException],
) -> None:
    context: Any = _Context()
    cancelled, begun = threading.Event(), list[int]()
    context.on_cancel = cancelled.set

    def fails() -> None:
        raise error("the first")

    def waits() -> None:
        begun.append(1)
        assert cancelled.wait(20), "it would have run to its end"

    with pytest.raises(error, match="the first"):
        parallel.run_concurrently(context, "name", [fails, *[waits] * 10], 2)
    assert {*context.cancelled} == {*context.groups[:1]}
    assert len(begun) <= 2, "one ran beside it, and one may have begun in its place"


def test_the_first_failure_shows_at_once_and_cancels_the_queries_before_it_and_their_next_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel, "_CANCEL_SECONDS", 0.05)
    context: Any = _Context()
    jobs = threading.Semaphore(0)
    context.on_cancel = jobs.release

    def of_three_jobs() -> None:
        for _ in range(3):
            assert jobs.acquire(timeout=20), "the job would have run to its end"

    def fails() -> None:
        raise ValueError("the second")

    with pytest.raises(ValueError, match="the second"):
        parallel.run_concurrently(context, "name", [of_three_jobs, fails], 2)
    assert len(context.cancelled) >= 3


def test_where_spark_has_ended_the_first_error_is_raised_and_not_that_of_cancelling() -> None:
    context: Any = _Context()
    over = threading.Event()

    def cancel() -> None:
        over.set()
        raise RuntimeError("no Java any more")

    context.on_cancel = cancel

    def fails() -> None:
        raise ValueError("out of memory")

    with pytest.raises(ValueError, match="out of memory"):
        parallel.run_concurrently(context, "name", [lambda: over.wait(20), fails], 2)
