"""Expire while calls fail, processes die, and others publish, pin, roll back and expire at the same time."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_udf.errors import FashionError, SnapshotError
from fashion_udf.table import log, paths, pins, retention, snapshot
from fashion_udf.table.commit import Commit
from fashion_udf.table.retention import Policy
from fashion_udf.table.rollback import rollback
from tests import tables
from tests.tables import REMOVING_CALLS, backdate, publish, stage

DAY = 86400.0
ALL = Policy(older_than=0, keep=1, grace=DAY)


@pytest.fixture(autouse=True)
def _without_syncs() -> Iterator[None]:
    with tables.without_syncs():
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three old snapshots, a dead run's staging and old reports; copied for each attempt, for publishing is slow."""
    output = tmp_path_factory.mktemp("original")
    for number in range(1, 4):
        publish(output, [str(number)], [f"{number}b"], run_id=f"s{number}")
    stage(output, ["x"], name="dead")
    (output / "runs/dead").mkdir(parents=True)
    (output / "runs/dead/outcome.json").touch()
    backdate(output, 100 * DAY)
    return output


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Callable[[int], Path]:
    """A fresh copy of the table, by number."""

    def made(number: int) -> Path:
        return Path(shutil.copytree(original, tmp_path / str(number), symlinks=True))

    return made


def _expire(output: Path) -> list[str]:
    removed, problems = retention.expire(str(output), ALL)
    assert problems == []
    return [removal.path.name for removal in removed]


def _check(output: Path) -> None:
    """The current snapshot is whole, and so is every one that did not expire; numbers have no gap."""
    commits = snapshot.read_log(str(output))
    gone = pins.expired(str(output))
    assert [commit.number for commit in commits] == list(range(1, len(commits) + 1))
    for commit in commits:
        if commit.snapshot_id not in gone or commit is commits[-1]:
            snapshot.verify(str(output), commit)


def _check_finished(output: Path) -> None:
    assert os.listdir(output / "tags/data") == ["s3"]
    assert os.listdir(output / "staging") == []
    _expire(output)  # reports go in the call after their staging
    assert os.listdir(output / "runs") == []
    _check(output)


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_any_failing_call_leaves_a_table_that_the_next_call_finishes(
    copy: Callable[[int], Path], persistent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for k in range(1, 1000):
        output = copy(k)
        problems: list[str] = []
        with tables.before_each_call(REMOVING_CALLS, tables.fail(errno.EIO, k, persistent)) as counter:
            try:
                _, problems = retention.expire(str(output), ALL)
            except FashionError as error:
                problems = [str(error)]
        assert all("injected into" in problem for problem in problems)
        _check(output)
        _expire(output)
        _check_finished(output)
        if counter.calls < k:
            break
    assert k > 40 and problems == []


def test_a_kill_at_any_step_leaves_a_table_that_the_next_call_finishes(copy: Callable[[int], Path]) -> None:
    for step in range(1, 1000):
        output = copy(step)
        finished = tables.survives(lambda: _expire(output), REMOVING_CALLS, step)  # noqa: B023
        _check(output)
        _expire(output)
        _check_finished(output)
        if finished:
            break
    assert finished and step > 40


def _first(output: Path) -> Commit:
    return snapshot.read_log(str(output))[0]


def _roll_back(output: Path) -> None:
    with contextlib.suppress(SnapshotError):
        rollback(str(output), 1)


def _pin(output: Path) -> None:
    with contextlib.suppress(SnapshotError):
        pins.pin(str(output), _first(output))


OTHERS: dict[str, Callable[[Path], object]] = {
    "publish": lambda output: publish(output, ["new"]),
    "rollback": _roll_back,
    "pin": _pin,
    "expire": _expire,
}


@pytest.mark.parametrize("other", OTHERS)
def test_whatever_happens_between_two_steps_of_expire_the_table_stays_whole(
    copy: Callable[[int], Path], other: str
) -> None:
    """Another process does all of its work before the k-th call of expire, for every k."""
    for k in range(1, 1000):
        output = copy(k)
        done: list[int] = []

        def meanwhile(_: str, call: int) -> None:
            if call == k and not done:  # noqa: B023
                done.append(call)  # noqa: B023
                OTHERS[other](output)  # noqa: B023

        with tables.before_each_call(REMOVING_CALLS, meanwhile):
            retention.expire(str(output), ALL)
        _check(output)
        pinned = pins.pins(str(output))
        assert "s1" not in pinned or os.listdir(output / "tags/data/s1"), "a pin that was granted keeps the files"
        for commit in snapshot.read_log(str(output)):
            if commit.snapshot_id in pinned:
                snapshot.verify(str(output), commit)
        _expire(output)
        _check(output)
        if not done:
            break
    assert k > 40 and not done


def test_expire_between_two_steps_of_a_rollback_leaves_a_whole_current_snapshot(copy: Callable[[int], Path]) -> None:
    outcomes = set()
    for k in range(1, 1000):
        output = copy(k)
        done: list[int] = []

        def meanwhile(_: str, call: int) -> None:
            if call == k and not done:  # noqa: B023
                done.append(call)  # noqa: B023
                _expire(output)  # noqa: B023

        with tables.before_each_call(REMOVING_CALLS, meanwhile):
            try:
                outcomes.add(rollback(str(output), 1).number)
            except SnapshotError as error:
                assert "has expired" in str(error)
                outcomes.add(3)
        _check(output)
        if not done:
            break
    assert outcomes == {3, 4}


#: What decides between a rollback and a call of expire, each a step.
STEPS = (
    *((pins, name) for name in ("pins", "expired", "write_tombstone", "_create", "_remove")),
    *((snapshot, name) for name in ("current", "verify")),
    (log, "append"),
)


def _handed_over(output: Path, first: int, second: int) -> tuple[bool, bool]:
    """Plan; roll back until step `first`; expire until step `second`; the rest of the rollback; the rest of expire.

    Returns whether each of the two was interrupted.
    """
    expiring, rolling = threading.Event(), threading.Event()
    steps = {"rollback": 0, "expire": 0}
    interrupted = {"rollback": False, "expire": False}

    def step() -> None:
        name = threading.current_thread().name
        steps[name] += 1
        if steps[name] == {"rollback": first, "expire": second}[name]:
            interrupted[name] = True
            (expiring if name == "rollback" else rolling).set()
            assert (rolling if name == "rollback" else rolled_back).wait(60)

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            step()
            return original(*args, **options)

        return call

    def roll_back() -> None:
        try:
            _roll_back(output)
        finally:
            expiring.set()
            rolled_back.set()

    def expire() -> None:
        assert expiring.wait(60)
        try:
            retention.expire(str(output), ALL)
        finally:
            rolling.set()

    rolled_back = threading.Event()
    threads = [threading.Thread(target=roll_back, name="rollback"), threading.Thread(target=expire, name="expire")]
    planned = retention.to_remove(
        str(output), ALL
    )  # before the rollback's pin, which would have kept the snapshot out of it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "to_remove", lambda *_: planned)
        for module, name in STEPS:
            patch.setattr(module, name, watched(getattr(module, name)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    return interrupted["rollback"], interrupted["expire"]


def test_a_rollback_and_expire_that_take_turns_leave_a_whole_current_snapshot(copy: Callable[[int], Path]) -> None:
    """Every pair of places at which the two hand over to each other."""
    numbers, heads = itertools.count(1), set()
    for first in range(1, 100):
        for second in range(1, 100):
            output = copy(next(numbers))
            interrupted = _handed_over(output, first, second)
            _check(output)
            heads.add(tables.head(output).snapshot_id)
            if not interrupted[1]:
                break
        if not interrupted[0]:
            break
    assert first > 8 and interrupted == (False, False) and heads == {"s1", "s3"}


def test_a_tombstone_is_taken_back_when_the_snapshot_is_wanted_again(
    copy: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    output = copy(1)
    planned = retention.to_remove(str(output), ALL)
    rollback(str(output), 1)
    monkeypatch.setattr(retention, "to_remove", lambda *_: planned)
    removed, problems = retention.expire(str(output), ALL)
    assert "snapshot s1 is pinned or current again: its files stay" in caplog.text
    assert [removal.path.name for removal in removed] == ["s2", "dead"] and problems == []
    assert pins.expired(str(output)) == {"s2"}


def test_a_planted_tombstone_removes_nothing_that_is_protected(copy: Callable[[int], Path]) -> None:
    output = copy(1)
    first, second, third = snapshot.read_log(str(output))
    pins.pin(str(output), first)
    for commit in (first, second, third):
        pins.write_tombstone(str(output), commit, "planted")
    publish(output, ["4"])
    assert _expire(output) == ["s2", "dead"], "the first is pinned, and the third was current a moment ago"
    snapshot.verify(str(output), first)
    snapshot.verify(str(output), third)


def _digests(output: Path) -> dict[str, str]:
    files = (output / "tags/data").rglob("*.parquet")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_no_file_of_any_snapshot_changes_in_fifty_nights(tmp_path: Path) -> None:
    """T1.8, with a reader that keeps each night's directory for two nights."""
    known: dict[str, str] = {}
    opened: list[Commit] = []
    for night in range(50):
        commit = publish(tmp_path, [str(night)], run_id=f"night-{night}")
        opened = [*opened[-2:], commit]
        now = _digests(tmp_path)
        assert {name: now[name] for name in now if name in known} == {n: known[n] for n in now if n in known}
        known |= now
        retention.expire(str(tmp_path), Policy(older_than=0, keep=2, grace=1.5 * DAY))
        for reader in opened:
            snapshot.verify(str(tmp_path), reader)
        backdate(tmp_path / "tags", DAY)
    assert len(os.listdir(tmp_path / "tags/data")) <= 4


# ---- random histories against a model

_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.just(0)),
        st.tuples(st.just("publish"), st.just(0)),
        st.tuples(st.sampled_from(["rollback", "pin", "unpin"]), st.integers(1, 12)),
        st.tuples(st.just("expire"), st.integers(0, 3)),
        st.tuples(st.just("clock"), st.sampled_from([-400, -30, -1, 1, 30, 400])),  # days
    ),
    max_size=24,
)
_POLICIES = [Policy(0, 1, 0), Policy(0, 1, 10 * DAY), Policy(20 * DAY, 2, DAY), Policy(20 * DAY, 3, 40 * DAY)]


class _History:
    """A table under a clock of its own, and what must be true of it."""

    def __init__(self, output: Path) -> None:
        self.output, self.now, self.dates = output, 1.7e9, list[float]()
        self.gone, self.pinned = set[str](), set[str]()

    def log(self) -> list[Commit]:
        return snapshot.read_log(str(self.output))

    def dated(self) -> None:
        """The file system dates a new commit by the clock."""
        for commit in self.log()[len(self.dates) :]:
            os.utime(self.output / f"tags/log/{commit.number:08d}.json", (self.now, self.now))
            self.dates.append(self.now)

    def do(self, name: str, value: int) -> None:
        commits = self.log()
        if name == "clock":
            self.now += value * DAY
        elif name == "publish":
            publish(self.output, [str(len(commits))])
        elif name == "expire":
            self.expire(_POLICIES[value])
        elif value <= len(commits):
            self.touch(name, commits[value - 1])
        self.dated()

    def touch(self, name: str, commit: Commit) -> None:
        wanted = {
            "rollback": lambda: rollback(str(self.output), commit.number),
            "pin": lambda: pins.pin(str(self.output), commit),
            "unpin": lambda: pins.unpin(str(self.output), commit),
        }[name]
        head = self.log()[-1].snapshot_id
        if commit.snapshot_id in self.gone and name != "unpin" and commit.snapshot_id != head:
            with pytest.raises(SnapshotError, match="has expired"):
                wanted()
            return
        wanted()
        if name == "pin":
            self.pinned.add(commit.snapshot_id)
        elif name == "unpin":
            self.pinned.discard(commit.snapshot_id)

    def expire(self, policy: Policy) -> None:
        commits = self.log()
        newest = {commit.snapshot_id: commit.number for commit in commits}
        left = sorted(set(newest) - self.gone, key=lambda name: newest[name])
        removed, problems = retention.expire(str(self.output), policy, self.now)
        assert problems == []
        names = {removal.path.name for removal in removed if removal.kind == "snapshot"}
        allowed = {
            name
            for name in left[: -policy.keep]
            if name not in self.pinned
            and newest[name] < len(commits)
            and self.now - max(self.dates[: newest[name] + 1]) >= max(policy.older_than, policy.grace)
        }
        assert names == allowed
        self.gone |= names

    def check(self) -> None:
        assert [commit.number for commit in self.log()] == list(range(1, len(self.dates) + 1))
        assert pins.expired(str(self.output)) == self.gone
        assert set(pins.pins(str(self.output))) == self.pinned
        for commit in self.log():
            if commit.snapshot_id in self.gone:
                assert not paths.data_dir(str(self.output), commit).exists()
            else:
                snapshot.verify(str(self.output), commit)


@settings(max_examples=60, deadline=None)
@given(operations=_OPERATIONS)
def test_random_histories_lose_exactly_what_the_rules_allow(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
) -> None:
    history = _History(tmp_path_factory.mktemp("history"))
    for operation in operations:
        history.do(*operation)
        history.check()
