"""Nights that are killed: the old table or the new one at every instant, and the next run finishes without help."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from fashion_udf.config import JobConfig
from fashion_udf.errors import CommitConflictError, FashionError
from fashion_udf.pipeline import chunks, tagging
from fashion_udf.table import snapshot
from tests.nights import Killed, Shop, dies_at, held
from tests.soak import SOAK, require_rows, rounds
from tests.submit import REPOSITORY, SPARK_SUBMIT
from tests.tables import REMOVING_CALLS, before_each_call, fail

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Rounds of kills and faults at calls of the operating system: one in each quarter of a run.
QUARTERS = 4

# The heartbeat of a dead run ends in its own thread.
pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(0 if SOAK else 600),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module")
def evening(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published table, and a catalog that has changed since."""
    folder = tmp_path_factory.mktemp("evening")
    shop = Shop(random.Random(7))
    shop.add(30)
    tagging.tag(spark, shop.write(folder))
    return folder


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Chunks of three rows; gives the rows of every chunk that was begun."""
    monkeypatch.setattr(chunks, "MIN_CHUNK_ROWS", 3)
    begun: list[int] = []
    score = chunks._score_chunk

    def counted(job: Any, chunk: Any, *rest: Any) -> None:
        begun.append(chunk.rows)
        score(job, chunk, *rest)

    monkeypatch.setattr(chunks, "_score_chunk", counted)
    yield begun


def _night(evening: Path, folder: Path) -> Shop:
    """Copy the evening's table, and change the catalog as a day does."""
    shutil.copytree(evening / "out", folder / "out", symlinks=True)
    shop = Shop(random.Random(7))
    shop.add(30)
    shop.draws.seed(8)
    shop.change(6)
    shop.remove(3)
    shop.add(8)
    shop.override(2)
    return shop


def _is_published(output: Path, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether the new table is published; anything but the old or the new one fails."""
    found = held(str(output))
    assert found in (old, new), "a third state"
    name = os.path.basename(os.readlink(output / "tags" / "current"))
    newest = [commit.snapshot_id for commit in snapshot.read_log(str(output))[-2:]]
    assert name in newest, "the link may be one commit behind the log, never ahead"
    return found == new


def test_a_kill_at_any_call_leaves_a_table_that_the_next_run_brings_up_to_date(
    spark: SparkSession, evening: Path, small_chunks: list[int], tmp_path: Path
) -> None:
    shop = _night(evening, tmp_path / "whole")
    old, new = held(str(evening / "out")), shop.expected()
    with dies_at(10**9) as calls:
        tagging.tag(spark, shop.write(tmp_path / "whole"))
        count = calls()
    require_rows(held(str(tmp_path / "whole" / "out")), new)
    published = set()
    for kill, draws in rounds("kills at a call", QUARTERS):
        step = 1 + int((kill % QUARTERS + draws.random()) / QUARTERS * count)
        folder = tmp_path / str(kill)
        settings = _night(evening, folder).write(folder)
        with contextlib.suppress(Killed), dies_at(step):  # chunks take turns, so a run may have a call less
            tagging.tag(spark, settings)
        published.add(_is_published(folder / "out", old, new))
        tagging.tag(spark, settings)
        require_rows(held(str(folder / "out")), new, step)
        shutil.rmtree(folder)
    assert published == {False, True}, "both sides of the commit were cut"


def test_runs_that_are_killed_again_and_again_lose_the_chunks_in_flight_alone(
    spark: SparkSession, evening: Path, small_chunks: list[int], tmp_path: Path
) -> None:
    for sequence, draws in rounds("sequences of three kills", 1):
        folder = tmp_path / str(sequence)
        shop = _night(evening, folder)
        settings, new = shop.write(folder), shop.expected()
        small_chunks.clear()
        for _ in range(3):
            spark.conf.set("spark.sql.shuffle.partitions", draws.randint(1, 5))  # staged rows know nothing of it
            with pytest.raises(Killed), dies_at(draws.randint(30, 120)):
                tagging.tag(spark, settings)
                raise Killed  # it was done before that call
        spark.conf.set("spark.sql.shuffle.partitions", 2)
        outcome = tagging.tag(spark, settings)
        require_rows(held(str(folder / "out")), new)
        needed = outcome.counts.accepted
        assert sum(small_chunks) <= needed + 3 * chunks.IN_FLIGHT * 3, "more than two chunks of three rows at each kill"
        shutil.rmtree(folder)


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_a_disk_that_fails_at_any_call_leaves_a_table_that_the_next_run_brings_up_to_date(
    spark: SparkSession, evening: Path, small_chunks: list[int], tmp_path: Path, persistent: bool
) -> None:
    for fault, draws in rounds("calls that fail from then on" if persistent else "calls that fail once", QUARTERS):
        folder = tmp_path / str(fault)
        shop = _night(evening, folder)
        settings, old, new = shop.write(folder), held(str(evening / "out")), shop.expected()
        number = draws.choice([errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE])
        failing = fail(number, draws.randint(1, 250), persistent)
        try:
            with before_each_call(REMOVING_CALLS, failing):
                tagging.tag(spark, settings)
        except (FashionError, OSError) as error:
            assert "injected into" in str(error)
        _is_published(folder / "out", old, new)
        tagging.tag(spark, settings)
        require_rows(held(str(folder / "out")), new, failing)
        shutil.rmtree(folder)


def test_a_process_that_is_killed_at_any_time_leaves_a_table_that_the_next_one_brings_up_to_date(
    spark: SparkSession, evening: Path, tmp_path: Path
) -> None:
    old = held(str(evening / "out"))
    shop = _night(evening, tmp_path / "whole")
    started = time.monotonic()
    with _process(shop.write(tmp_path / "whole"), tmp_path / "whole") as run:
        assert run.wait() == 0
    longest = time.monotonic() - started
    require_rows(held(str(tmp_path / "whole" / "out")), shop.expected())
    for kill, draws in rounds("kills of a process", 1):
        folder = tmp_path / str(kill)
        shop = _night(evening, folder)
        settings, new = shop.write(folder), shop.expected()
        with _process(settings, folder) as run:
            time.sleep(draws.uniform(0.3, 1.0) * longest)  # and then it is killed
        _is_published(folder / "out", old, new)
        tagging.tag(spark, settings)
        require_rows(held(str(folder / "out")), new)
        shutil.rmtree(folder)


def test_a_process_that_sleeps_while_another_run_publishes_undoes_nothing(
    spark: SparkSession, evening: Path, tmp_path: Path
) -> None:
    for sleep, draws in rounds("processes that sleep", 1):
        folder = tmp_path / str(sleep)
        shop = _night(evening, folder)
        settings = shop.write(folder)
        reached = draws.choice(["*/plan-0", "*/todo-0", "*/results"])
        with _process(settings, folder) as run:
            while not [*(folder / "out" / "staging").glob(reached)]:
                assert run.poll() is None, "it ended before it was put to sleep"
                time.sleep(0.01)
            os.killpg(run.pid, signal.SIGSTOP)
            shop.change(4)  # what the sleeper read is yesterday's news
            tagging.tag(spark, shop.write(folder))
            awake, log = shop.expected(), snapshot.read_log(str(folder / "out"))
            require_rows(held(str(folder / "out")), awake)
            os.killpg(run.pid, signal.SIGCONT)
            assert run.wait() in (0, CommitConflictError.exit_code)
        assert snapshot.read_log(str(folder / "out"))[: len(log)] == log, "a commit that was made stays"
        require_rows(held(str(folder / "out")), awake, "it planned again, or was refused")
        shutil.rmtree(folder)


@contextlib.contextmanager
def _process(settings: JobConfig, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run as its users start it: launcher, Java and Python, a process group of which nothing is left at the end."""
    told = yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True))
    (folder / "job.yaml").write_text(told, encoding="utf-8")
    command = [str(SPARK_SUBMIT), "--conf", "spark.ui.enabled=false"]
    command += [str(REPOSITORY / "jobs" / "tag_catalog.py"), "--config", str(folder / "job.yaml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as run:
        try:
            yield run
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
