"""Publishing while calls fail: the old table or the new one, and an outcome that tells which."""

from __future__ import annotations

import builtins
import errno
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest

from fashion_udf import files
from fashion_udf.errors import CommitUnknownError, FashionError, SnapshotError
from fashion_udf.table import snapshot, stores
from fashion_udf.table.commit import DataFile
from fashion_udf.table.memory_store import Fault, MemoryStore
from tests import tables
from tests.tables import CALLS, publish, written


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_any_failing_call_leaves_the_old_table_or_the_new_one(tmp_path: Path, number: int, persistent: bool) -> None:
    """SQLite's loop: the k-th call fails, for k = 1, 2, ... until a run meets no fault."""
    old = publish(tmp_path, ["old"])
    for k in range(1, 1000):
        found = written(tmp_path, ["new"], name=f"r{k}")
        parent, outcome = tables.head(tmp_path), ""
        with tables.before_each_call(CALLS, tables.fail(number, k, persistent)) as counter:
            try:
                snapshot.publish(str(tmp_path), f"r{k}", found, "v1", expected_rows=1, parent=parent)
                outcome = "landed"
            except CommitUnknownError as error:
                outcome = "unknown"
                assert re.search("Expected to know whether commit .* Nothing was deleted", str(error))
            except FashionError as error:
                outcome = "failed"
                assert re.search(r"Expected .* Received: .*injected into", str(error)), error
        head = tables.head(tmp_path)
        assert head.run_id in {"landed": [f"r{k}"], "failed": [parent.run_id]}.get(outcome, [f"r{k}", parent.run_id])
        snapshot.verify(str(tmp_path), head)
        snapshot.verify(str(tmp_path), old)
        if counter.calls < k:
            break
    assert k > 20 and outcome == "landed"
    assert publish(tmp_path, ["next"]).number == head.number + 1


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_disk_that_fills_up_while_the_commit_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    before = publish(tmp_path, ["old"])

    def short_write(path: Path, data: bytes) -> None:
        with builtins.open(path, "xb") as file:
            file.write(data[: int(share * len(data))])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_synced", short_write)
    with pytest.raises(SnapshotError, match=r"create tags/log/00000002\.json\. Received: .*No space left.*nothing was"):
        publish(tmp_path, ["new"])
    assert snapshot.current(str(tmp_path)) == before
    assert os.listdir(tmp_path / "tags/log") == ["00000001.json"]


def test_a_disk_that_fails_while_files_are_forced_to_it_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = publish(tmp_path, ["old"])

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SnapshotError, match="Expected to force the files .* No space left on device. Nothing was"):
            publish(tmp_path, ["new"])
    assert snapshot.current(str(tmp_path)) == before
    assert publish(tmp_path, ["new"]).number == 2


def test_a_link_that_cannot_follow_is_a_warning_and_repair_fixes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path, ["old"], run_id="old")

    def refuse(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "symlink", refuse)
        commit = publish(tmp_path, ["new"], run_id="new")
    assert "commit 2 is published, but tags/current stays behind ([Errno 5]" in caplog.text
    assert f"run `jobs/snapshots.py repair --output {tmp_path}`" in caplog.text
    assert snapshot.current(str(tmp_path)) == commit
    assert os.readlink(tmp_path / "tags/current") == "data/old"
    assert snapshot.repair_pointer(str(tmp_path)) == commit
    assert os.readlink(tmp_path / "tags/current") == "data/new"


@pytest.mark.parametrize("when", ["before", "after"])
def test_every_fault_of_a_store_ends_in_a_truthful_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: Any
) -> None:
    for k in range(1, 20):
        memory = MemoryStore({k: Fault(when, TimeoutError("timed out"))})
        memory.write("tags/data/r/part-0.parquet", b"rows")
        monkeypatch.setitem(stores.STORES, "", memory)
        found = (DataFile("part-0.parquet", 4, 1, "a" * 64),)
        try:
            snapshot.publish(str(tmp_path), "r", found, "v", expected_rows=1, parent=None)
            possible = [1]
        except CommitUnknownError:
            possible = [0, 1]
        except SnapshotError:
            possible = [0]
        log = [key for key in memory.objects if key.startswith("tags/log/")]
        assert len(log) in possible
        if len(memory.operations) < k:
            return
    pytest.fail("publish needs more operations of its store than this test looks at")


class _Stale(MemoryStore):
    """A store that shows a new object at once, and an overwritten one never: some take half a minute for it."""

    def write(self, key: str, data: bytes) -> None:
        self.objects.setdefault(key, data)
        self.times.setdefault(key, 0.0)


def test_a_store_that_shows_overwritten_objects_late_loses_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, parent = _Stale(), None
    monkeypatch.setitem(stores.STORES, "s3", memory)
    for number in range(1, 4):
        memory.write(f"tags/data/r{number}/part-0.parquet", b"rows")
        found = (DataFile("part-0.parquet", 4, 1, "a" * 64),)
        parent = snapshot.publish("s3://b/out", f"r{number}", found, "v", expected_rows=1, parent=parent)
        assert snapshot.current("s3://b/out") == parent and parent.number == number
    assert memory.objects["tags/current"] == b"data/r1", "a hint for people, whole and of an older snapshot"
    assert [commit.run_id for commit in snapshot.read_log("s3://b/out")] == ["r1", "r2", "r3"]
