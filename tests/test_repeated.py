"""A function that is called while a block runs, and not after."""

from __future__ import annotations

import threading

import pytest

from fashion_udf.repeated import repeated


def test_the_function_is_called_in_a_thread_of_that_name_until_the_block_ends() -> None:
    names, again = list[str](), threading.Semaphore(0)

    def act() -> None:
        names.append(threading.current_thread().name)
        again.release()

    with repeated(act, 0.001, "beat of the test"):
        assert again.acquire(timeout=20) and again.acquire(timeout=20)
    assert {*names} == {"beat of the test"}
    assert "beat of the test" not in {thread.name for thread in threading.enumerate()}


def test_a_block_that_fails_ends_the_calls() -> None:
    with pytest.raises(ValueError, match="stop"), repeated(lambda: None, 0.001, "beat of the test"):
        raise ValueError("stop")
    assert "beat of the test" not in {thread.name for thread in threading.enumerate()}


def test_a_block_does_not_wait_for_the_next_call() -> None:
    with repeated(lambda: None, 3600.0, "beat of the test"):
        pass
    assert "beat of the test" not in {thread.name for thread in threading.enumerate()}
