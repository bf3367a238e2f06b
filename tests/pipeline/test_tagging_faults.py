"""Nights on S3 of which one request fails, or all from one on: nothing is lost or doubled, and the next night mends.

`make test` takes a few of a night's requests; `make soak` goes on for its time, in an order by its seed.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.config import JobConfig, Output
from fashion_udf.pipeline import tagging
from fashion_udf.table import s3_store, snapshot
from fashion_udf.table.tags_table import TagsTable
from tests import soak
from tests.nights import COLUMNS, Shop
from tests.servers import jars
from tests.servers.proxy import Proxy, Request
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: What a request meets. The first three are over with the next attempt; an answer that was lost may have been obeyed.
KINDS = ("reset", "lost", "error", "half")

_NUMBERS = itertools.count(1)

# The heartbeat of a run that ended ends in its own thread; an executor's connection is closed late.
pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(0 if soak.SOAK else 600),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

_LONG = pytest.mark.skipif(not soak.SOAK, reason="minutes: each request is a night, run by `make soak`")


class Night:
    """A shop with a table on S3, and nights on it."""

    def __init__(self, spark: SparkSession, folder: Path, server: S3Server, draws: random.Random) -> None:
        """Publish a first table."""
        self.spark, self.folder, self.server = spark, folder, server
        self.output = f"s3://{server.bucket('faults')}/{next(_NUMBERS)}/out"
        self.shop = Shop(draws)
        self.shop.add(6)
        self.run()

    def config(self) -> JobConfig:
        """Write the catalog; return the settings of a night on it, which gives up soon."""
        found = self.shop.write(self.folder)
        store = self.server.settings.model_copy(update={"attempts": 3, "timeout": 5.0})
        return found.model_copy(update={"output": Output(path=self.output), "s3": store})

    def run(self) -> None:
        """Run a night; what it publishes must be the whole table."""
        tagging.tag(self.spark, self.config())
        self.require(self.shop.expected())

    def held(self) -> dict[str, Any]:
        """Return what the table holds, after every byte of it was verified."""
        commit = snapshot.newest(self.output)
        snapshot.verify(self.output, commit)
        frame = TagsTable(self.output).to_pandas(["product_id", *COLUMNS]).astype(object)
        rows = {row[0]: tuple(row[1:]) for row in frame.where(frame.notna(), None).itertuples(index=False)}
        soak.TOTALS["rows doubled"] += len(frame) - len(rows)
        assert len(rows) == len(frame) == commit.rows
        return rows

    def require(self, expected: dict[str, Any], told: object = "") -> None:
        """Fail if the table does not hold these rows."""
        soak.require_rows(self.held(), expected, told)


@pytest.fixture
def night(spark: SparkSession, tmp_path: Path, s3_server: S3Server) -> Iterator[Night]:
    """A shop with a table on S3."""
    jars.needed("s3a")
    before = s3_store.settings()
    yield Night(spark, tmp_path, s3_server, random.Random(8))
    s3_store.use(before)


def fails(proxy: Proxy, kind: Any, first: int, times: int | None) -> ExitStack:
    """Let the `first`-th request from now on fail, and those after it until `times` have failed."""
    numbers = itertools.count()

    def is_meant(request: Request) -> bool:
        return next(numbers) >= first

    facts = {"status": 503, "code": "SlowDown"} if kind == "error" else {}
    stack = ExitStack()
    stack.enter_context(proxy.fault(kind, about=is_meant, times=times, **facts))
    return stack


def _requests(night: Night) -> int:
    """Return how many requests a night sends on which little changed."""
    night.shop.change(2)
    with night.server.proxy.recorded() as requests:
        night.run()
    return len(requests)


def _drawn(name: str, few: int, cases: list[Any]) -> Iterator[Any]:
    """Yield the cases in an order by the seed, until the time is over or none is left."""
    order = random.Random(f"{soak.SEED} {name}").sample(cases, len(cases))
    for _, case in zip(soak.rounds(name, few), order, strict=False):
        yield case


def test_each_request_of_a_night_fails_once(night: Night) -> None:
    count = _requests(night)
    for at, kind in _drawn("requests that failed once", 2, [*itertools.product(range(count), KINDS)]):
        night.shop.change(2)
        told = f"request {at} of {count} failed by {kind}"
        before = night.held()
        try:
            with fails(night.server.proxy, kind, at, 1):
                tagging.tag(night.spark, night.config())
        except Exception:  # the next night brings the table up to date
            soak.TOTALS["nights that ended"] += 1
            assert night.held() in (before, night.shop.expected()), told
            night.run()
        night.require(night.shop.expected(), told)


@_LONG
def test_from_a_request_on_all_fail_and_the_next_night_mends(night: Night) -> None:
    count = _requests(night)
    for at in _drawn("nights without S3 to their end", 2, [*range(count)]):
        night.shop.change(2)
        told, before = f"request {at} of {count} and all after it failed", night.held()
        try:
            with fails(night.server.proxy, "reset", at, None):
                tagging.tag(night.spark, night.config())
        except Exception:
            assert night.held() in (before, night.shop.expected()), told
        night.run()


def test_a_commit_whose_answer_is_lost_is_published_once(night: Night) -> None:
    for _ in soak.rounds("commits whose answer was lost", 1):
        night.shop.change(2)
        number = snapshot.newest(night.output).number + 1

        def is_commit(request: Request, name: str = f"log/{number:08d}.json") -> bool:
            return request.method == "PUT" and request.path.endswith(name)

        with night.server.proxy.fault("lost", about=is_commit, times=1) as fault:
            night.run()
        assert (fault.injected, snapshot.newest(night.output).number) == (1, number)


def test_of_two_nights_at_once_both_tables_are_whole(night: Night) -> None:
    """The second one plans anew on the first one's table."""
    for _ in soak.rounds("races of two nights", 1):
        night.shop.change(3)
        number, config, barrier = snapshot.newest(night.output).number, night.config(), threading.Barrier(2)

        def run(_: int, config: JobConfig = config, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return tagging.tag(night.spark, config).published

        with ThreadPoolExecutor(2) as pool:
            published = list(pool.map(run, range(2)))
        assert True in published
        assert snapshot.newest(night.output).number == number + sum(published)
        night.require(night.shop.expected())
