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

from fashion_udf import files
from fashion_udf.pipeline import staging
from fashion_udf.table import data_files
from fashion_udf.table.paths import Location
from tests.tables import CALLS, at, backdate, before_each_call, fail, survives, without_syncs


def _commit(directory: Path, number: int = 7, name: str = "chunk-00007") -> None:
    staging.commit_chunk(at(directory), name, number, data_files.described(at(directory / name)))


def _written(directory: Path, rows: int = 3, name: str = "chunk-00007") -> Path:
    """A chunk as Spark leaves it."""
    written = directory / name
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
    with staging.alive(at(directory)):
        for _ in range(3):
            _wait((directory / "alive").exists)
            (directory / "alive").unlink()
        _wait((directory / "alive").exists)
        assert "alive" in {thread.name for thread in threading.enumerate()}
    assert "alive" not in {thread.name for thread in threading.enumerate()}


def test_the_alive_file_is_not_touched_after_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), staging.alive(at(tmp_path / "r1")):
        _wait((tmp_path / "r1" / "alive").exists)
        raise ValueError("stop")
    assert "alive" not in {thread.name for thread in threading.enumerate()}


def test_a_full_disk_does_not_stop_the_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_BEAT_SECONDS", 0.01)
    beats, touch = [], staging._touch

    def second_fails(directory: Location) -> None:
        beats.append(directory)
        if len(beats) == 2:
            raise OSError("no space left on device")
        touch(directory)

    monkeypatch.setattr(staging, "_touch", second_fails)
    with staging.alive(at(tmp_path / "r1")):
        _wait(lambda: len(beats) > 3)
        _wait((tmp_path / "r1" / "alive").exists)


def _found(output: Path) -> list[Path]:
    return [Path(str(result.place)) for result in staging.result_files(str(output))]


def test_a_chunk_is_found_with_its_parquet_files_alone(tmp_path: Path) -> None:
    directory = tmp_path / "staging" / "r1"
    written = _written(directory)
    assert staging.result_files(str(tmp_path)) == [], "what is only written does not count"
    _commit(directory)
    (result,) = staging.result_files(str(tmp_path))
    assert (str(result.place), result.size) == (
        f"{written}/part-0.parquet",
        (written / "part-0.parquet").stat().st_size,
    )
    (same,) = staging.result_files(f"file://{tmp_path}")
    assert same.place.uri == result.place.uri


def test_a_number_is_committed_once(tmp_path: Path) -> None:
    directory = tmp_path / "staging" / "r1"
    _written(directory)
    _commit(directory)
    _commit(directory)  # the same once more, as after an answer that never came
    _written(directory, rows=5, name="chunk-00007-1")
    with pytest.raises(FileExistsError, match="Expected to commit chunk 7 once"):
        _commit(directory, name="chunk-00007-1")
    (path,) = _found(tmp_path)
    assert pq.read_metadata(path).num_rows == 3


def test_a_chunk_appears_whole_or_not_at_all_wherever_the_run_is_killed(tmp_path: Path) -> None:
    outcomes = []
    for step in range(1, 100):
        output = tmp_path / str(step)
        directory = output / "staging" / "r1"
        written = _written(directory)
        pq.write_table(pa.table({"key": [9, 9]}), written / "part-1.parquet")
        ended = survives(lambda to=directory: _commit(to), CALLS, step)  # type: ignore[misc]
        found = _found(output)
        assert [pq.read_metadata(path).num_rows for path in found] in ([], [3, 2])
        outcomes.append(len(found))
        if ended:
            break
    assert outcomes == sorted(outcomes) and set(outcomes) == {0, 2}, "both sides of the manifest were cut"


def test_a_chunk_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    written = _written(tmp_path / "r1")
    (tmp_path / "r1" / "results").mkdir()
    sync, link = files.sync, os.link
    monkeypatch.setattr(files, "sync", lambda path: events.append(path.name) or sync(path))  # type: ignore[func-returns-value]
    monkeypatch.setattr(os, "link", lambda *names: events.append("link") or link(*names))  # type: ignore[func-returns-value]
    _commit(tmp_path / "r1")
    landed = events.index("link")
    assert events[:landed][:3] == ["part-0.parquet", written.name, "r1"], "the file, then the directories above it"
    assert events[landed + 1] == "results"


@pytest.mark.parametrize("k", range(1, 4))
def test_a_disk_that_fails_before_the_manifest_leaves_no_chunk(tmp_path: Path, k: int) -> None:
    _written(tmp_path / "staging" / "r1")
    with pytest.raises(OSError, match="injected"), before_each_call(("fsync",), fail(5, k, persistent=True)):
        _commit(tmp_path / "staging" / "r1")
    assert staging.result_files(str(tmp_path)) == []


def test_results_of_every_run_are_found_and_those_being_removed_are_not(tmp_path: Path) -> None:
    with without_syncs():
        for run in ("r2", "r1", ".expired-r0"):
            _written(tmp_path / "staging" / run)
            _commit(tmp_path / "staging" / run)
    (tmp_path / "staging" / "r3" / "plan-0").mkdir(parents=True)
    pq.write_table(pa.table({"key": [1]}), tmp_path / "staging" / "r3" / "plan-0" / "part-0.parquet")
    found = [path.relative_to(tmp_path / "staging").parts[0] for path in _found(tmp_path)]
    assert found == ["r1", "r2"]


def test_looking_at_results_holds_them_only_where_it_is_asked_for(tmp_path: Path) -> None:
    directory = tmp_path / "staging" / "r1"
    _written(directory)
    _commit(directory)
    staging.result_files(str(tmp_path), hold=False)
    assert not (directory / "alive").exists()
    staging.result_files(str(tmp_path))
    assert (directory / "alive").exists()


def test_nothing_is_found_where_nothing_was_staged(tmp_path: Path) -> None:
    assert staging.result_files(str(tmp_path / "nowhere")) == []


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_chunk_with_a_damaged_file_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    directory = tmp_path / "staging" / "r1"
    written = _written(directory)
    pq.write_table(pa.table({"key": [9]}), written / "part-1.parquet")
    _commit(directory)
    whole = _written(directory, name="chunk-00008")
    _commit(directory, 8, "chunk-00008")
    DAMAGE[damage](written / "part-1.parquet")
    assert _found(tmp_path) == [whole / "part-0.parquet"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert (
        f"{directory}/results/00007.json is damaged and ignored: Expected {written}/part-1.parquet of " in caplog.text
    )


MANIFESTS = {
    "nothing": b"",
    "no object": b"[]",
    "another format": b'{"format": 2, "directory": "chunk-00007", "files": []}',
    "a directory elsewhere": b'{"format": 1, "directory": "../r2", "files": []}',
    "a name elsewhere": b'{"format": 1, "directory": "c", "files": [{"name": "../x.parquet", "size": 1, "rows": 1, '
    b'"sha256": ""}]}',
}


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_that_is_none_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, manifest: str
) -> None:
    results = tmp_path / "staging" / "r1" / "results"
    results.mkdir(parents=True)
    (results / "00007.json").write_bytes(MANIFESTS[manifest])
    assert _found(tmp_path) == []
    assert "r1/results/00007.json is damaged and ignored: " in caplog.text


def test_reading_keeps_the_results_of_a_dead_run_alive(tmp_path: Path) -> None:
    directory = tmp_path / "staging" / "r1"
    _written(directory)
    _commit(directory)
    (directory / "alive").touch()
    backdate(directory, 10_000)
    staging.result_files(str(tmp_path))
    assert time.time() - os.stat(directory / "alive").st_mtime < 1000


def test_results_that_cannot_be_kept_alive_are_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "staging" / "r1"
    _written(directory)
    _commit(directory)

    def refused(directory: Location) -> None:
        raise PermissionError(str(directory))

    monkeypatch.setattr(staging, "_touch", refused)
    assert len(staging.result_files(str(tmp_path))) == 1
