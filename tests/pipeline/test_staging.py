"""Staging: a chunk counts whole or not at all, a live run says so, and what is damaged is scored again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.pipeline import staging
from tests.tables import CALLS, backdate, before_each_call, fail, survives, without_syncs


def _written(directory: Path, rows: int = 3) -> Path:
    """A chunk as Spark leaves it."""
    written = directory / "chunk-00007"
    written.mkdir(parents=True)
    pq.write_table(pa.table({"key": list(range(rows))}), written / "part-0.parquet")
    (written / "_SUCCESS").touch()
    (written / ".part-0.parquet.crc").write_bytes(b"crc")
    (written / "_temporary.parquet").touch()
    return written


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_a_live_run_touches_its_alive_file_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_BEAT_SECONDS", 0.01)
    directory = tmp_path / "staging" / "r1"
    with staging.alive(directory):
        for _ in range(3):
            _wait((directory / "alive").exists)
            (directory / "alive").unlink()
        _wait((directory / "alive").exists)
        assert "alive" in {thread.name for thread in threading.enumerate()}
    assert "alive" not in {thread.name for thread in threading.enumerate()}


def test_the_alive_file_is_not_touched_after_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), staging.alive(tmp_path / "r1"):
        _wait((tmp_path / "r1" / "alive").exists)
        raise ValueError("stop")
    assert "alive" not in {thread.name for thread in threading.enumerate()}


def test_a_full_disk_does_not_stop_the_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_BEAT_SECONDS", 0.01)
    beats, touch = [], Path.touch

    def first_fails(path: Path) -> None:
        beats.append(path)
        if len(beats) == 1:
            raise OSError("no space left on device")
        touch(path)

    monkeypatch.setattr(Path, "touch", first_fails)
    with staging.alive(tmp_path / "r1"):
        _wait((tmp_path / "r1" / "alive").exists)


def test_a_chunk_is_found_with_its_parquet_files_alone(tmp_path: Path) -> None:
    directory = tmp_path / "staging" / "r1"
    written = _written(directory)
    assert staging.result_files(str(tmp_path)) == [], "what is only written does not count"
    staging.commit_chunk(directory, written, 7)
    assert staging.result_files(str(tmp_path)) == [str(directory / "results" / "00007" / "part-0.parquet")]
    assert staging.result_files(f"file://{tmp_path}") == staging.result_files(str(tmp_path))
    assert not written.exists()


def test_a_number_is_committed_once(tmp_path: Path) -> None:
    staging.commit_chunk(tmp_path / "r1", _written(tmp_path / "r1"), 7)
    with pytest.raises(OSError, match="not empty"):
        staging.commit_chunk(tmp_path / "r1", _written(tmp_path / "r1", rows=5), 7)
    assert pq.read_metadata(tmp_path / "r1" / "results" / "00007" / "part-0.parquet").num_rows == 3


def test_a_chunk_appears_whole_or_not_at_all_wherever_the_run_is_killed(tmp_path: Path) -> None:
    outcomes = []
    for step in range(1, 100):
        output = tmp_path / str(step)
        directory = output / "staging" / "r1"
        written = _written(directory)
        ended = survives(lambda to=directory, what=written: staging.commit_chunk(to, what, 7), CALLS, step)  # type: ignore[misc]
        found = staging.result_files(str(output))
        assert [pq.read_metadata(path).num_rows for path in found] in ([], [3])
        outcomes.append(len(found))
        if ended:
            break
    assert outcomes == sorted(outcomes) and set(outcomes) == {0, 1}, "both sides of the rename were cut"


def test_a_chunk_is_on_the_disk_before_it_counts(tmp_path: Path) -> None:
    calls: list[str] = []
    written = _written(tmp_path / "r1")
    (tmp_path / "r1" / "results").mkdir()
    with before_each_call(("open", "rename"), lambda name, _: calls.append(name)):
        staging.commit_chunk(tmp_path / "r1", written, 7)
    assert calls == ["open", "open", "rename", "open"], "file and directory, then the name, then its directory"


@pytest.mark.parametrize("k", range(1, 4))
def test_a_disk_that_fails_before_the_rename_leaves_no_chunk(tmp_path: Path, k: int) -> None:
    written = _written(tmp_path / "staging" / "r1")
    with pytest.raises(OSError, match="injected"), before_each_call(("fsync",), fail(5, k, persistent=True)):
        staging.commit_chunk(tmp_path / "staging" / "r1", written, 7)
    assert staging.result_files(str(tmp_path)) == []


def test_results_of_every_run_are_found_and_those_being_removed_are_not(tmp_path: Path) -> None:
    with without_syncs():
        for run in ("r2", "r1", ".expired-r0"):
            staging.commit_chunk(tmp_path / "staging" / run, _written(tmp_path / "staging" / run), 0)
    (tmp_path / "staging" / "r3" / "plan-0").mkdir(parents=True)
    pq.write_table(pa.table({"key": [1]}), tmp_path / "staging" / "r3" / "plan-0" / "part-0.parquet")
    found = [Path(path).relative_to(tmp_path / "staging").parts[0] for path in staging.result_files(str(tmp_path))]
    assert found == ["r1", "r2"]


def test_looking_at_results_holds_them_only_where_it_is_asked_for(tmp_path: Path) -> None:
    directory = tmp_path / "staging" / "r1"
    staging.commit_chunk(directory, _written(directory), 0)
    staging.result_files(str(tmp_path), hold=False)
    assert not (directory / "alive").exists()
    staging.result_files(str(tmp_path))
    assert (directory / "alive").exists()


def test_nothing_is_found_where_nothing_was_staged(tmp_path: Path) -> None:
    assert staging.result_files(str(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage"])
def test_a_damaged_file_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    written = _written(tmp_path / "staging" / "r1")
    pq.write_table(pa.table({"key": [9]}), written / "part-1.parquet")
    staging.commit_chunk(tmp_path / "staging" / "r1", written, 7)
    whole, damaged = (Path(path) for path in staging.result_files(str(tmp_path)))
    content = {"empty": b"", "cut": damaged.read_bytes()[:-3], "garbage": b"PAR1" * 10}
    damaged.write_bytes(content[damage])
    assert staging.result_files(str(tmp_path)) == [str(whole)]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"{damaged} is damaged and ignored: " in record.getMessage()


def test_reading_keeps_the_results_of_a_dead_run_alive(tmp_path: Path) -> None:
    directory = tmp_path / "staging" / "r1"
    staging.commit_chunk(directory, _written(directory), 0)
    (directory / "alive").touch()
    backdate(directory, 10_000)
    staging.result_files(str(tmp_path))
    assert time.time() - os.stat(directory / "alive").st_mtime < 1000


def test_results_that_cannot_be_kept_alive_are_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "staging" / "r1"
    staging.commit_chunk(directory, _written(directory), 0)

    def refused(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "touch", refused)
    assert len(staging.result_files(str(tmp_path))) == 1
