"""The Delta log of the table: other programs read every commit by the path, and it never leads where ours does not."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_udf.commands import snapshots
from fashion_udf.errors import ConfigError, EnvironmentUnsupportedError, SnapshotError
from fashion_udf.s3 import object_store_options
from fashion_udf.table import delta, followers, paths, retention, s3_store
from fashion_udf.table.commit import Commit
from fashion_udf.table.rollback import rollback
from tests.servers.s3 import S3Server
from tests.tables import head, publish, without_syncs

ALL = retention.Policy(older_than=0, keep=1, grace=0)
#: Of one version, and loaded by file: nothing is installed beside the tests' own DuckDB, which is another one.
DUCKDB = ("duckdb==1.5.5", "duckdb-extension-delta==1.5.5")
READ_BY_DUCKDB = """
import sys
from pathlib import Path
import duckdb, duckdb_extension_delta
(extension,) = Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute(f"LOAD '{extension}'")
(root, versions) = sys.argv[1:]
for version in range(int(versions)):
    rows = connection.execute(f"SELECT product_id FROM delta_scan('{root}', version => {version})").fetchall()
    print(version, *sorted(row[0] for row in rows))
rows = connection.execute(f"SELECT product_id FROM delta_scan('{root}')").fetchall()
print("newest", *sorted(row[0] for row in rows))
"""


def _root(output: Path) -> Path:
    return output / "tags" / "data"


def _night(output: Path, *ids: str) -> Commit:
    """Publish, and let the Delta log follow as a run does."""
    commit = publish(output, [*ids])
    assert followers.mend_delta(str(output), create=True)
    return commit


def _ids(output: Path, version: int | None = None) -> list[str]:
    return sorted(DeltaTable(_root(output), version=version).to_pyarrow_table()["product_id"].to_pylist())


def _numbers(output: Path) -> list[int]:
    """Our numbers of the Delta commits, oldest first."""
    return [int(each["commit"]) for each in reversed(DeltaTable(_root(output)).history())]


def _command(output: Path, command: str, *arguments: object) -> None:
    snapshots.main([command, "--output", str(output), *map(str, arguments)])


def _duckdb() -> Path:
    """Return the folder of a DuckDB with its Delta extension, installed once for this user."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "fashion-udf" / f"duckdb-delta-{DUCKDB[0].split('==')[1]}-{sys.implementation.cache_tag}"
    if not folder.is_dir():
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(part), *DUCKDB]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if result.returncode:
            pytest.skip(f"needs {' and '.join(DUCKDB)}: {(result.stderr.strip() or 'no answer').splitlines()[-1]}")
        part.rename(folder)
    return folder


def test_each_commit_is_one_version_that_readers_find_by_the_path(tmp_path: Path) -> None:
    _night(tmp_path, "a")
    _night(tmp_path, "a", "b")
    _command(tmp_path, "rollback", "--to", 1)
    _night(tmp_path, "c")
    assert [_ids(tmp_path, version) for version in range(4)] == [["a"], ["a", "b"], ["a"], ["c"]]
    assert _numbers(tmp_path) == [1, 2, 3, 4]
    assert DeltaTable(_root(tmp_path)).history(1)[0]["snapshot_id"] == head(tmp_path).snapshot_id
    assert pl.scan_delta(str(_root(tmp_path))).collect()["product_id"].to_list() == ["c"]
    assert sorted(pl.read_delta(str(_root(tmp_path)), version=1)["product_id"].to_list()) == ["a", "b"]


def test_duckdb_reads_every_version(tmp_path: Path) -> None:
    for ids in ("a", "ab", "c"):
        _night(tmp_path, *ids)
    command = [sys.executable, "-c", READ_BY_DUCKDB, str(_root(tmp_path)), "3"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_duckdb())}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.stdout.splitlines() == ["0 a", "1 a b", "2 c", "newest c"], result.stderr[-2000:]


def test_a_log_that_stayed_behind_is_a_warning_and_repair_writes_every_commit_that_it_lacks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _night(tmp_path, "a")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(delta, "_write", fail)
        publish(tmp_path, ["b"])
        assert not followers.mend_delta(str(tmp_path))
        publish(tmp_path, ["a"])
        _command(tmp_path, "rollback", "--to", 2)
    expected = f"the Delta log stays behind (no space left): run `jobs/snapshots.py repair --output {tmp_path}`"
    assert [record.getMessage() for record in caplog.records] == [expected] * 2
    _command(tmp_path, "rollback", "--to", 1)  # what the Delta log still shows: it lacks nothing
    publish(tmp_path, ["c"])
    capsys.readouterr()
    _command(tmp_path, "repair")
    assert "tags/data/_delta_log shows the newest snapshot" in capsys.readouterr().out
    assert _numbers(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert [_ids(tmp_path, version) for version in range(6)] == [["a"], ["b"], ["a"], ["b"], ["a"], ["c"]]


def test_without_the_package_nothing_expires_and_the_warning_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _night(tmp_path, "a")
    publish(tmp_path, ["b"])
    monkeypatch.setitem(sys.modules, "deltalake", None)
    assert not followers.mend_delta(str(tmp_path))
    assert "pip install 'fashion-udf[delta]'" in caplog.text
    with pytest.raises(EnvironmentUnsupportedError, match=r"Expected the deltalake package .* Received: "):
        retention.expire(str(tmp_path), ALL)


def test_what_a_process_that_died_left_of_the_first_version_is_no_log(tmp_path: Path) -> None:
    publish(tmp_path, ["a"])
    (_root(tmp_path) / "_delta_log").mkdir()
    (_root(tmp_path) / "_delta_log" / "_commit_1.json.tmp").touch()
    assert not followers.mend_delta(str(tmp_path))
    assert followers.mend_delta(str(tmp_path), create=True)
    assert _ids(tmp_path) == ["a"]


def test_an_output_that_deltalake_cannot_write_to_is_refused_at_the_start(tmp_path: Path) -> None:
    delta.require_usable(str(tmp_path))
    with pytest.raises(
        ConfigError,
        match="Expected an output.path on local files or on S3, because publish.delta is true. Received: hdfs://shop",
    ):
        delta.require_usable("hdfs://shop/tags")


def test_a_log_that_never_shows_what_was_written_is_no_endless_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = _night(tmp_path, "a")
    monkeypatch.setattr(delta, "_lacking", lambda *_: commit)
    monkeypatch.setattr(delta, "ATTEMPTS", 2)
    with pytest.raises(SnapshotError, match=r"Expected to write .* Received: other files than those of commit 1"):
        delta.reconcile(str(tmp_path))


def test_of_two_writers_one_writes_a_version_and_the_other_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = delta._write, list[int]()

    def overtaken(*arguments: object) -> object:
        calls.append(arguments[2].number)  # type: ignore[attr-defined]
        if len(calls) in (1, 4):  # another process is faster: at the first commit, and at a later one
            delta.reconcile(str(tmp_path))
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(delta, "_write", overtaken)
    publish(tmp_path, ["a"])
    delta.reconcile(str(tmp_path))
    publish(tmp_path, ["b"])
    publish(tmp_path, ["c"])
    delta.reconcile(str(tmp_path))
    assert _numbers(tmp_path) == [1, 2, 3]
    assert _ids(tmp_path) == ["c"]


def test_of_many_writers_at_once_one_writes_each_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, together = delta._write, threading.Barrier(4, timeout=60)

    def at_once(*arguments: object) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait()
        return write(*arguments)  # type: ignore[arg-type]

    for ids in ("a", "b", "c"):
        publish(tmp_path, [ids])
        with monkeypatch.context() as patch, ThreadPoolExecutor(4) as threads:
            patch.setattr(delta, "_write", at_once)
            together.reset()
            waiting = [threads.submit(delta.reconcile, str(tmp_path)) for _ in range(4)]
            for done in as_completed(waiting):
                together.abort()  # whoever looks again waits for nobody
                done.result()
    assert _numbers(tmp_path) == [1, 2, 3]


def test_a_commit_of_somebody_else_is_undone(tmp_path: Path) -> None:
    _night(tmp_path, "a", "b")
    DeltaTable(_root(tmp_path)).delete("product_id = 'a'")
    assert _ids(tmp_path) == ["b"]
    _command(tmp_path, "repair")
    assert _ids(tmp_path) == ["a", "b"]


def test_what_the_delta_log_showed_within_the_grace_time_does_not_expire(tmp_path: Path) -> None:
    old = _night(tmp_path, "a")
    publish(tmp_path, ["b"])  # and a process died before the Delta log followed
    open_reader = DeltaTable(_root(tmp_path))
    # Our log has the new commit for an hour, Delta's since this very call, which mends it.
    later = retention.Policy(older_than=0, keep=1, grace=60)
    for path in (tmp_path / "tags" / "log").iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    assert retention.expire(str(tmp_path), later) == ([], [])
    assert _ids(tmp_path) == ["b"] and open_reader.to_pyarrow_table().num_rows == 1
    removed, problems = retention.expire(str(tmp_path), later, now=time.time() + 61)
    assert [removal.commit for removal in removed] == [old] and problems == []
    assert _ids(tmp_path) == ["b"] and (_root(tmp_path) / "_delta_log").is_dir()


def test_a_vacuum_with_the_usual_retention_removes_nothing(tmp_path: Path) -> None:
    _night(tmp_path, "a")
    _night(tmp_path, "b")
    month = time.time() - 30 * 86400
    for path in _root(tmp_path).rglob("*"):
        os.utime(path, (month, month))
    for path in (_root(tmp_path) / "_delta_log").glob("*.json"):
        path.write_text(re.sub(r'("deletionTimestamp":)[0-9]+', rf"\g<1>{int(month * 1000)}", path.read_text()))
    assert DeltaTable(_root(tmp_path)).vacuum(dry_run=False, full=True) == []
    assert _ids(tmp_path, 0) == ["a"]


def test_a_reader_never_has_many_commits_to_read(tmp_path: Path) -> None:
    with without_syncs():
        for number in range(12):
            _night(tmp_path, str(number))
    log = _root(tmp_path) / "_delta_log"
    assert [path.name for path in log.glob("*.checkpoint.parquet")] == [f"{9:020d}.checkpoint.parquet"]
    assert _ids(tmp_path) == ["11"] and _ids(tmp_path, 3) == ["3"]


@given(st.lists(st.sampled_from(["publish", "roll back", "mend", "expire"]), max_size=8))
@settings(max_examples=12)
def test_whatever_happened_a_mended_log_shows_the_newest_commit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    output = tmp_path_factory.mktemp("table")
    with without_syncs():
        _night(output, "first")
        for number, step in enumerate(steps):
            if step == "publish":
                publish(output, [str(number)])
            elif step == "roll back":
                with contextlib.suppress(SnapshotError):  # it may have expired
                    rollback(str(output), max(1, head(output).number - 1))
            elif step == "expire":
                retention.expire(str(output), ALL)
            else:
                assert followers.mend_delta(str(output))
        assert followers.mend_delta(str(output))
    names = {f"{head(output).snapshot_id}/{file.name}" for file in head(output).files}
    assert {str(Path(uri).relative_to(_root(output))) for uri in DeltaTable(_root(output)).file_uris()} == names
    assert _numbers(output) == sorted(set(_numbers(output)))
    assert _ids(output) == sorted(pl.read_parquet(paths.data_dir(str(output), head(output)))["product_id"].to_list())


def test_a_table_on_s3_has_a_delta_log_too(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_server.bucket("delta")
    output, published = f"s3://{bucket}/out", list[Commit]()
    monkeypatch.setattr(s3_store, "_settings", s3_server.direct)
    for ids in (["a", "b"], ["c"]):
        published.append(publish(tmp_path, ids))
        for path in (path for path in tmp_path.rglob("*") if path.is_file() and "current" not in path.parts):
            s3_server.put(f"out/{path.relative_to(tmp_path)}", path.read_bytes(), bucket)
        assert followers.mend_delta(output, create=True)
    options = object_store_options(s3_server.direct)
    for version, ids in enumerate((["a", "b"], ["c"])):
        table = DeltaTable(f"{output}/tags/data", version=version, storage_options=options)
        assert sorted(table.to_pyarrow_table()["product_id"].to_pylist()) == ids
    read = pl.scan_delta(f"{output}/tags/data", storage_options=options).collect()
    assert read["product_id"].to_list() == ["c"]
    assert delta.readable(output, 0) == {commit.snapshot_id for commit in published}
