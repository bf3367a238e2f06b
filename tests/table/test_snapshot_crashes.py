"""Publishing while processes die and rivals race: the old table or the new one at every instant."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import CommitConflictError
from fashion_udf.table import snapshot
from fashion_udf.table.commit import Commit, DataFile
from tests import tables
from tests.tables import CALLS, publish, written


def _ids(directory: Path) -> list[str]:
    ids: list[str] = pq.read_table(directory)["product_id"].to_pylist()
    return ids


def _publish_and_die(output: Path, files: tuple[DataFile, ...], parent: Commit, run_id: str, step: int) -> bool:
    """True if the child reached the end alive."""

    def work() -> object:
        return snapshot.publish(str(output), run_id, files, "v1", expected_rows=2, parent=parent)

    return tables.survives(work, CALLS, step)


def test_a_kill_at_any_step_leaves_the_old_table_or_the_new_one(tmp_path: Path) -> None:
    seen: set[str] = set()
    for step in range(1, 1000):
        output = tmp_path / str(step)
        old = publish(output, ["old"], run_id="old")
        finished = _publish_and_die(output, written(output, ["a"], ["b"], name="new"), old, "new", step)
        head = tables.head(output)
        snapshot.verify(str(output), old)
        snapshot.verify(str(output), head)
        seen.add(head.run_id)
        link = (output / "tags/current").resolve()
        assert link.name in (["old", "new"] if head.run_id == "new" else ["old"]), "a link runs ahead of the log"
        assert _ids(link) == {"old": ["old"], "new": ["a", "b"]}[link.name]
        with duckdb.connect() as connection:
            connection.execute((output / "tags/current.sql").read_text())
            assert len(connection.execute("SELECT * FROM tags").fetchall()) in (1, 2 if head.run_id == "new" else 1)
        rerun = publish(output, ["again"])
        assert rerun.number == head.number + 1 and _ids((output / "tags/current").resolve()) == ["again"]
        shutil.rmtree(output)
        if finished:
            break
    assert finished and step > 25 and seen == {"old", "new"}


def test_data_is_durable_before_the_commit_and_the_commit_before_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync = os.fsync

    def name(path: object) -> str:
        return os.path.relpath(str(path), tmp_path)

    def record(call: str) -> None:
        original = getattr(os, call)

        def recorded(source: object, target: object) -> None:
            events.append(f"{call} {name(target)}")
            original(source, target)

        monkeypatch.setattr(os, call, recorded)

    def synced(descriptor: int) -> None:
        events.append(f"fsync {name(os.readlink(f'/proc/self/fd/{descriptor}'))}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    for call in ("link", "replace"):
        record(call)
    publish(tmp_path, ["1"], ["2"], run_id="r")

    def at(event: str) -> int:
        return next(index for index, found in enumerate(events) if re.fullmatch(event, found))

    content = [at(rf"fsync tags/data/r/r-part-0000{i}\.parquet") for i in (0, 1)]
    landed = at(r"link tags/log/00000001\.json")
    assert max(content) < landed
    for directory in ("tags/data/r", "tags/data", "tags", r"\."):
        assert any(re.fullmatch(f"fsync {directory}", event) for event in events[:landed]), directory
    assert at(r"fsync tags/log/\.00000001\.json\..*\.tmp") < landed
    assert events[landed + 1] == "fsync tags/log"
    assert landed < at("replace tags/current") < at(r"replace tags/current\.sql")
    assert events[-1] == "fsync tags"


def _race(output: Path, writer: int, rounds: int, barrier: Any, results: Any) -> None:
    for number in range(rounds):
        parent = snapshot.current(str(output))
        files = written(output, [f"{writer}"], name=f"w{writer}-{number}")
        barrier.wait()
        try:
            snapshot.publish(str(output), f"w{writer}-{number}", files, "v", expected_rows=1, parent=parent)
            results.put((number, writer))
        except CommitConflictError:
            pass
        barrier.wait()
    results.close()
    results.join_thread()


def test_of_eight_runs_publishing_at_once_exactly_one_wins(tmp_path: Path) -> None:
    rounds, context = 50, multiprocessing.get_context("fork")
    barrier, results = context.Barrier(8, timeout=120), context.Queue()
    racers = [context.Process(target=_race, args=(tmp_path, w, rounds, barrier, results)) for w in range(8)]
    for racer in racers:
        racer.start()
    wins = dict(results.get(timeout=120) for _ in range(rounds))
    for racer in racers:
        racer.join(120)
    assert results.empty() and sorted(wins) == list(range(rounds))
    log = snapshot.read_log(str(tmp_path))
    assert [commit.run_id for commit in log] == [f"w{wins[number]}-{number}" for number in range(rounds)]
    for commit in log:
        snapshot.verify(str(tmp_path), commit)
    assert os.readlink(tmp_path / "tags/current") == f"data/{log[-1].snapshot_id}"
