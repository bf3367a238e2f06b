"""Calling ahead: the same results in the same order as one after the other, within bounds, and no thread stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.scoring.prefetch import prefetch


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@given(st.lists(st.integers(), max_size=30), st.integers(0, 4), st.integers(0, 10))
def test_results_come_in_the_order_of_the_items(items: list[int], threads: int, ahead: int) -> None:
    assert list(prefetch(str, items, threads, ahead)) == [str(item) for item in items]
    assert own_threads() == []


@pytest.mark.parametrize("threads", [0, 3])
def test_an_exception_is_raised_at_its_item_s_turn_and_ends_the_threads(threads: int) -> None:
    found = []
    with pytest.raises(ZeroDivisionError):
        for result in prefetch(lambda item: 6 // item, [3, 2, 1, 0, 6, 6, 6], threads, 5):
            found.append(result)
    assert found == [2, 3, 6]
    assert own_threads() == []


def test_closing_it_early_ends_the_threads() -> None:
    results = prefetch(lambda item: item, range(1000), 3, 5)
    assert next(results) == 0
    results.close()
    assert own_threads() == []


@pytest.mark.parametrize(("threads", "ahead"), [(0, 5), (1, 0), (4, 7)])
def test_no_more_items_are_taken_ahead_than_allowed(threads: int, ahead: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 40:
            taken += 1
            yield taken

    for used, _ in enumerate(prefetch(abs, items(), threads, ahead), start=1):
        assert taken - used <= ahead


def test_waiting_is_shared_between_the_threads() -> None:
    start = time.monotonic()
    list(prefetch(lambda _: time.sleep(0.05), range(16), 8, 16))
    assert time.monotonic() - start < 16 * 0.05 / 2
