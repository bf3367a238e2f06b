"""Small tables published on local files, for the tests of publishing and of what reads it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.table import data_files, paths, snapshot
from fashion_udf.table.commit import Commit, DataFile
from fashion_udf.table.paths import Location

#: Everything publish asks of the operating system that can fail or be cut short.
CALLS = ("listdir", "scandir", "lstat", "open", "fsync", "mkdir", "link", "unlink", "symlink", "replace")

#: What removing old snapshots asks besides.
REMOVING_CALLS = (*CALLS, "rename", "rmdir")


def at(path: Path) -> Location:
    """A local place as the library names it."""
    return Location(str(path.parent), path.name)


def stage(output: Path, *files: list[str], name: str = "staged") -> Path:
    """A directory of product ids as Spark leaves it: final files in any number, and its own litter."""
    staged = output / "staging" / name
    (staged / "_temporary").mkdir(parents=True)
    for index, ids in enumerate(files):
        pq.write_table(
            pa.table({"product_id": pa.array(ids, pa.string())}), staged / f"part-{index:05d}-x.zstd.parquet"
        )
        (staged / f".part-{index:05d}-x.zstd.parquet.crc").write_bytes(b"crc")
    (staged / "_SUCCESS").touch()
    (staged / "_temporary.parquet").touch()
    return staged


def written(output: Path, *files: list[str], name: str) -> tuple[DataFile, ...]:
    """Product ids where Spark writes the table of a run, and the facts of the files; no commit names them yet."""
    staged = stage(output, *files, name=name)
    return moved(output, staged, name)


def moved(output: Path, staged: Path, name: str) -> tuple[DataFile, ...]:
    """The Parquet files of a directory, moved to where Spark writes the table of a run, and their facts."""
    directory = output / "tags" / "data" / name
    directory.mkdir(parents=True)
    for number, path in enumerate(sorted(staged.glob("[!._]*.parquet"))):
        path.rename(directory / f"{name}-part-{number:05d}.parquet")
    shutil.rmtree(staged)
    return data_files.described(paths.snapshot_dir(str(output), name))


def publish_staged(
    output: Path, staged: Path, run_id: str, model_version: str = "v1", *, expected_rows: int, parent: Commit | None
) -> Commit:
    """Publish the Parquet files of a directory."""
    files = moved(output, staged, run_id)
    return snapshot.publish(str(output), run_id, files, model_version, expected_rows=expected_rows, parent=parent)


def publish(output: Path, *files: list[str], run_id: str | None = None) -> Commit:
    """Publish product ids on top of whatever is current."""
    run_id = run_id or paths.new_run_id()
    found, parent = written(output, *files, name=run_id), snapshot.current(str(output))
    return snapshot.publish(str(output), run_id, found, "v1", expected_rows=sum(map(len, files)), parent=parent)


def head(output: Path) -> Commit:
    """The current commit of a table that has one."""
    commit = snapshot.current(str(output))
    assert commit is not None
    return commit


def backdate(path: Path, seconds: float) -> None:
    """Make a file, or everything in a tree, that much older."""
    for found in (path, *path.rglob("*")):
        changed = found.lstat().st_mtime - seconds
        os.utime(found, (changed, changed), follow_symlinks=False)


@contextmanager
def without_syncs() -> Iterator[None]:
    """For tests where no power is lost: a busy disk takes longer to sync than all else together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@dataclass
class Counter:
    """How many of the watched calls were made."""

    calls: int = 0


@contextmanager
def before_each_call(names: tuple[str, ...], do: Callable[[str, int], None]) -> Iterator[Counter]:
    """Run `do(name, k)` before the k-th call, counted from 1, of those functions of `os`."""
    counter = Counter()

    def watched(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            counter.calls += 1
            do(name, counter.calls)
            return original(*args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(os, name, watched(name, getattr(os, name)))
        yield counter


def fail(number: int, k: int, persistent: bool) -> Callable[[str, int], None]:
    """For `before_each_call`: the k-th call fails with an error number; later ones too if `persistent`."""

    def do(name: str, call: int) -> None:
        if call == k or (persistent and call > k):
            raise OSError(number, f"injected into {name}")

    return do


def survives(work: Callable[[], object], names: tuple[str, ...], step: int) -> bool:
    """Run `work` in a child that kills itself, as kill -9 would, before its `step`-th call; True if it ended alive."""
    child = os.fork()
    if child == 0:
        try:
            with before_each_call(names, lambda _, k: os.kill(os.getpid(), signal.SIGKILL) if k == step else None):
                work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)
