"""Rolling back: an older snapshot under a new number, and nothing copied or removed."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
from pathlib import Path

import duckdb
import pytest

from fashion_udf.errors import CommitConflictError, CommitUnknownError, FashionError, InputError, SnapshotError
from fashion_udf.table import log, pins, snapshot, stores
from fashion_udf.table.commit import Commit, parse
from fashion_udf.table.memory_store import Fault, MemoryStore
from fashion_udf.table.rollback import rollback
from tests import tables
from tests.tables import CALLS, publish, publish_staged


@pytest.fixture
def first(tmp_path: Path) -> Commit:
    commit = publish(tmp_path, ["1", "2"], run_id="one")
    publish(tmp_path, ["3"], run_id="two")
    return commit


def _rows(output: Path) -> list[tuple[str]]:
    with duckdb.connect() as connection:
        connection.execute((output / "tags/current.sql").read_text())
        return connection.execute("SELECT product_id FROM tags ORDER BY 1").fetchall()


def test_readers_see_the_older_rows_through_a_new_commit(tmp_path: Path, first: Commit) -> None:
    before = sorted((tmp_path / "tags/data").rglob("*"))
    commit = rollback(str(tmp_path), 1)
    assert (commit.number, commit.parent, commit.snapshot_id) == (3, 2, "one")
    assert (commit.files, commit.model_version, commit.is_rollback) == (first.files, first.model_version, True)
    assert commit.run_id not in ("one", "two")
    assert snapshot.current(str(tmp_path)) == commit
    snapshot.verify(str(tmp_path), commit)
    assert os.readlink(tmp_path / "tags/current") == "data/one"
    assert _rows(tmp_path) == [("1",), ("2",)]
    assert sorted((tmp_path / "tags/data").rglob("*")) == before
    assert os.listdir(tmp_path / "tags/pins") == []


def test_a_rollback_is_a_commit_like_any_other(tmp_path: Path, first: Commit) -> None:
    commit = rollback(str(tmp_path), 1)
    assert parse((tmp_path / "tags/log/00000003.json").read_bytes(), "the log") == commit
    assert [c.is_rollback for c in snapshot.read_log(str(tmp_path))] == [False, False, True]


def test_a_run_publishes_on_top_of_a_rollback(tmp_path: Path, first: Commit) -> None:
    parent = rollback(str(tmp_path), 1)
    commit = publish(tmp_path, ["4"], run_id="four")
    assert (commit.number, commit.parent, _rows(tmp_path)) == (4, parent.number, [("4",)])
    again = rollback(str(tmp_path), 3)
    assert (again.number, again.snapshot_id, _rows(tmp_path)) == (5, "one", [("1",), ("2",)])
    for found in snapshot.read_log(str(tmp_path)):
        snapshot.verify(str(tmp_path), found)


def test_the_current_snapshot_is_not_committed_again(tmp_path: Path, first: Commit) -> None:
    assert rollback(str(tmp_path), 2).number == 2
    commit = rollback(str(tmp_path), 1)
    assert rollback(str(tmp_path), 1) == commit
    assert len(snapshot.read_log(str(tmp_path))) == 3


def test_a_run_whose_parent_was_rolled_back_is_a_conflict(tmp_path: Path, first: Commit) -> None:
    parent = tables.head(tmp_path)
    staged = tables.stage(tmp_path, ["4"])
    rollback(str(tmp_path), 1)
    with pytest.raises(CommitConflictError, match="publish commit 3 .* Received: commit 3 of run "):
        publish_staged(tmp_path, staged, "four", "v1", expected_rows=1, parent=parent)


@pytest.mark.parametrize("number", [-1, 0, 3])
def test_a_number_that_is_not_in_the_log_is_refused(tmp_path: Path, first: Commit, number: int) -> None:
    with pytest.raises(InputError, match=f"Expected --to of a commit from 1 to 2. Received: {number}"):
        rollback(str(tmp_path), number)


def test_a_table_without_commits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected --to of a commit from 1 to 0. Received: 1"):
        rollback(str(tmp_path), 1)


def test_a_damaged_snapshot_is_not_published_again(tmp_path: Path, first: Commit) -> None:
    os.truncate(tmp_path / "tags/data/one/one-part-00000.parquet", 10)
    with pytest.raises(SnapshotError, match="as commit 1 describes it. Received: one-part-00000.parquet: 10 bytes"):
        rollback(str(tmp_path), 1)
    assert tables.head(tmp_path).number == 2 and os.listdir(tmp_path / "tags/pins") == []


def test_an_expired_snapshot_is_refused(tmp_path: Path, first: Commit) -> None:
    pins.write_tombstone(str(tmp_path), first, "expiry")
    with pytest.raises(SnapshotError, match="Expected a snapshot that is kept. Received: commit 1, .*one has expired"):
        rollback(str(tmp_path), 1)
    assert tables.head(tmp_path).number == 2


def test_a_publish_during_a_rollback_wins(tmp_path: Path, first: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = snapshot.verify

    def slow(output: str, commit: Commit, table: str) -> None:
        verify(output, commit, table)
        publish(tmp_path, ["5"], run_id="five")

    monkeypatch.setattr(snapshot, "verify", slow)
    with pytest.raises(CommitConflictError, match="Received: commit 3 of run five as the newest"):
        rollback(str(tmp_path), 1)
    assert tables.head(tmp_path).run_id == "five" and pins.pins(str(tmp_path)) == {}


def test_an_unknown_outcome_keeps_the_snapshot_pinned(
    tmp_path: Path, first: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> Commit:
        raise CommitUnknownError("Expected to know whether commit 3 was made.")

    monkeypatch.setattr(log, "append", unknown)
    with pytest.raises(CommitUnknownError):
        rollback(str(tmp_path), 1)
    assert list(pins.pins(str(tmp_path))) == ["one"]


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_any_failing_call_leaves_the_newer_table_or_the_older_one(
    tmp_path: Path, first: Commit, persistent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for k in range(1, 1000):
        parent, outcome = tables.head(tmp_path), "failed"
        target = 1 if parent.snapshot_id == "two" else 2
        with tables.before_each_call(CALLS, tables.fail(errno.EIO, k, persistent)) as counter:
            try:
                rollback(str(tmp_path), target)
                outcome = "landed"
            except CommitUnknownError:
                outcome = "unknown"
            except FashionError as error:
                assert "Received: " in str(error) and "injected into" in str(error), error
        head = tables.head(tmp_path)
        moved = head.number == parent.number + 1
        assert moved == (outcome == "landed") or outcome == "unknown", outcome
        snapshot.verify(str(tmp_path), head)
        if counter.calls < k:
            break
    assert k > 15 and outcome == "landed"


@pytest.mark.parametrize("when", ["before", "after"])
def test_every_fault_of_a_store_ends_in_a_truthful_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The bytes of the log live in a store that times out; files and pins are local, as they are."""
    first, second = publish(tmp_path, ["1"], run_id="one"), publish(tmp_path, ["2"], run_id="two")
    stored = {f"tags/log/{commit.number:08d}.json": commit.to_json() for commit in (first, second)}
    for k in range(1, 30):
        memory = MemoryStore({k: Fault(when, TimeoutError("timed out"))}, dict(stored))  # type: ignore[arg-type]
        monkeypatch.setitem(stores.STORES, "", memory)
        try:
            possible = {rollback(str(tmp_path), 1).number}
        except CommitUnknownError:
            possible = {2, 3}
        except SnapshotError:
            possible = {2}
        numbers = [key for key in memory.objects if key.startswith("tags/log/")]
        assert len(numbers) in possible
        if len(memory.operations) < k:
            return
    pytest.fail("rollback needs more operations of its store than this test looks at")


def test_a_kill_at_any_step_leaves_the_newer_table_or_the_older_one(tmp_path: Path) -> None:
    seen = set()
    for step in range(1, 1000):
        output = tmp_path / str(step)
        publish(output, ["1"], run_id="one")
        publish(output, ["2"], run_id="two")
        finished = tables.survives(lambda: rollback(str(output), 1), CALLS, step)  # noqa: B023
        head = tables.head(output)
        snapshot.verify(str(output), head)
        seen.add(head.snapshot_id)
        again = rollback(str(output), 1)
        assert (again.snapshot_id, again.number) == ("one", 3)
        assert _rows(output) == [("1",)]
        if finished:
            break
    assert finished and step > 15 and seen == {"one", "two"}


def test_the_record_differs_from_a_publish_in_nothing_else(tmp_path: Path, first: Commit) -> None:
    commit = rollback(str(tmp_path), 1)
    names = ("number", "parent", "time", "run_id")
    assert dataclasses.replace(commit, **{name: getattr(first, name) for name in names}) == first
