"""Repeat requests to a store or a host that fails or asks for fewer requests, and count requests.

All threads of a process share the state of a store or host. While it asks for fewer requests, all threads wait. If it
has not answered for minutes, the following photos do not wait for it again.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from fashion_udf.photos.photo import Photo, TransientError
from fashion_udf.schema import Status

ATTEMPTS = 6  # for one photo, while the endpoint answers other requests
PATIENCE = 120.0  # seconds without any success after which an endpoint counts as down
PROBE = 15.0  # seconds between two requests to an endpoint that is down
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds; they must be much shorter than `PATIENCE`

Answer = TypeVar("Answer")

_requests: Counter[str] = Counter()
_counting = threading.Lock()


def count(name: str) -> None:
    """Count a request of this process."""
    with _counting:
        _requests[name] += 1


def counted() -> dict[str, int]:
    """Return the counts of requests since the last call, by name, and reset them."""
    with _counting:
        found = dict(_requests)
        _requests.clear()
    return found


class Endpoint:
    """The state of a store or a host in this process, shared by its threads."""

    def __init__(self, requests_per_second: float | None = None) -> None:
        """Start with an endpoint that answers. None means no limit of requests."""
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._lock = threading.Lock()
        self._turn = 0.0  # when the next request may be sent
        self._pause = 0.0  # seconds, while the endpoint asks for fewer requests
        self._paused_until = 0.0
        self._succeeded = 0.0
        self._failing_since: float | None = None
        self._failed_at = self._probed = 0.0

    def photo(self, ask: Callable[[], Answer], name: str, seconds: float) -> Answer | Photo:
        """Return the result of `ask`, or a reason after several attempts. Each attempt is counted as `name`.

        Args:
            ask: sends one request, and raises `TransientError` if it may be repeated.
            name: name of the request in `counted`.
            seconds: limit for all attempts. While the endpoint asks all callers for fewer requests, it is `PATIENCE`.
        """
        started, attempt = time.monotonic(), 0
        while True:
            if self.is_down() and not self._may_probe():
                return Photo(None, Status.IMAGE_IO, f"no answer for more than {PATIENCE:.0f} seconds")
            attempt += 1
            self._wait()
            count(name)
            try:
                answer = ask()
            except TransientError as failure:
                pause = self._failed(failure, attempt)
                if self._is_enough(failure, attempt, started, pause, seconds):
                    return failure.photo
                time.sleep(pause)
            else:
                self._answered()
                return answer

    def is_down(self) -> bool:
        """Return whether all requests of the last `PATIENCE` seconds or more failed, the last one recently."""
        with self._lock:
            lately = time.monotonic() - self._failed_at <= PATIENCE
            return lately and self._failing_since is not None and self._failed_at - self._failing_since > PATIENCE

    def _may_probe(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now - self._probed < PROBE or now < self._paused_until:
                return False
            self._probed = now
            return True

    def _wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            # Each thread waits for a different time. All at once would be too many requests again.
            paused = self._paused_until + random.uniform(0, self._pause) if now < self._paused_until else now
            self._turn = max(self._turn + self._interval, now)
            until = max(self._turn, paused)
        if until > now:  # a sleep of no time would still give the processor to another thread
            time.sleep(until - now)

    def _answered(self) -> None:
        with self._lock:
            self._succeeded, self._failing_since = time.monotonic(), None
            self._pause = self._pause / 2 if self._pause > FIRST_PAUSE else 0.0

    def _failed(self, failure: TransientError, attempt: int) -> float:
        """Record a failure, and return the seconds before the next attempt."""
        with self._lock:
            now = time.monotonic()
            if self._failing_since is None or now - self._failed_at > PATIENCE:  # there was no request for a while
                self._failing_since = now
            self._failed_at = now
            if failure.throttled and now >= self._paused_until:  # of the requests before the pause, one answer counts
                self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
                self._paused_until = now + self._pause
            if failure.throttled and failure.after:
                self._paused_until = max(self._paused_until, now + failure.after)
        if failure.throttled:
            return failure.after or 0.0  # `_wait` adds the pause
        return random.uniform(0, min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE))

    def _is_enough(self, failure: TransientError, attempt: int, started: float, pause: float, seconds: float) -> bool:
        with self._lock:
            now = time.monotonic()
            if now + pause - started > max(seconds, PATIENCE):
                return True
            alone = self._succeeded < started and failure.throttled  # no request is answered, so wait longer
            return not alone and (attempt >= ATTEMPTS or now + pause - started > seconds)
