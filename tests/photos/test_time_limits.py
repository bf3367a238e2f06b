"""Calls that take too long are ended by one thread, once, and no other ones."""

from __future__ import annotations

import os
import threading
import time

from fashion_udf.photos import time_limits


def test_what_is_late_is_ended_once_and_what_is_forgotten_never() -> None:
    late, forgotten, ended = threading.Event(), threading.Event(), list[str]()

    def end() -> None:
        ended.append("late")
        late.set()

    threads = threading.active_count()
    time_limits.watch(forgotten.set, time.monotonic() + 0.3)
    for _ in range(50):  # as many calls as threads make at a time
        time_limits.watch(threading.Event().set, time.monotonic() + 0.1)
    time_limits.watch(end, time.monotonic() + 0.3)
    assert threading.active_count() == threads + 1
    time_limits.forget(forgotten.set)
    assert late.wait(30)
    deadline = time.monotonic() + 30
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (ended, forgotten.is_set(), threading.active_count()) == (["late"], False, threads)


def test_a_forked_process_watches_with_a_thread_of_its_own() -> None:
    time_limits.watch(threading.Event().set, time.monotonic() + 1)  # the parent's thread runs, and is not in the child
    child = os.fork()
    if child == 0:
        ended = threading.Event()
        time_limits.watch(ended.set, time.monotonic())
        os._exit(0 if ended.wait(30) else 1)
    assert os.waitpid(child, 0)[1] == 0
