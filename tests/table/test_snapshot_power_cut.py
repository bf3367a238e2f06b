"""Power cuts while a table is published: what was not synced may be lost, in any order, and no reader notices.

A file's bytes are on the disk once it was synced; a name once its directory was. Of what was not, any part may be lost.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fashion_udf.table import snapshot
from tests import tables
from tests.tables import publish, written

#: Disks rebuilt after each step.
DISKS = 40

_File = int  # a number of ours: inodes are used again


@dataclass(frozen=True)
class _Change:
    """A name that comes into a directory, or goes (`file` is None)."""

    path: Path
    file: _File | None


@dataclass
class _Disk:
    """What a disk holds, and what of it would survive a power cut."""

    live: dict[Path, _File] = field(default_factory=dict)
    synced: dict[Path, _File] = field(default_factory=dict)
    unsynced: list[_Change] = field(default_factory=list)
    content: dict[_File, bytes | str | None] = field(default_factory=dict)  # bytes, a link's target, or a directory
    written: set[_File] = field(default_factory=set)  # whose bytes are not synced

    def copy(self) -> _Disk:
        return _Disk(dict(self.live), dict(self.synced), [*self.unsynced], dict(self.content), {*self.written})

    def add(self, path: Path, source: Path | None = None) -> None:
        """A name that is new, of a new file or of the one called `source`."""
        file = self.live[source] if source else len(self.content)
        if not source:
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                self.written.add(file)
            regular = path.read_bytes() if stat.S_ISREG(mode) else None
            self.content[file] = os.readlink(path) if stat.S_ISLNK(mode) else regular
        self.live[path] = file
        self.unsynced.append(_Change(path, file))

    def remove(self, path: Path) -> None:
        del self.live[path]
        self.unsynced.append(_Change(path, None))

    def sync(self, path: Path) -> None:
        if not path.is_dir():
            if path not in self.live:
                self.add(path)  # written by `open`, which nobody follows
            self.content[self.live[path]] = path.read_bytes()
            self.written.discard(self.live[path])
            return
        for change in [change for change in self.unsynced if change.path.parent == path]:
            _apply(self.synced, change)
            self.unsynced.remove(change)

    def after_a_power_cut(self, draws: random.Random, root: Path, target: Path) -> None:
        """Write what is left to `target`: what was synced, and any part of what was not."""
        names = dict(self.synced)
        for change in self.unsynced:
            if draws.random() < 0.5:
                _apply(names, change)
        target.mkdir()
        for path, file in sorted(names.items()):  # directories before what is in them
            copy, content = target / path.relative_to(root), self.content[file]
            if not copy.parent.is_dir():
                continue  # the name of its directory is lost
            if content is None:
                copy.mkdir()
            elif isinstance(content, str):
                copy.symlink_to(content)
            else:
                copy.write_bytes(content[: draws.randint(0, len(content))] if file in self.written else content)


def _apply(names: dict[Path, _File], change: _Change) -> None:
    if change.file is None:
        names.pop(change.path, None)
    else:
        names[change.path] = change.file


@contextmanager
def _recorded(disk: _Disk, steps: list[_Disk]) -> Iterator[None]:
    """Follow every call that changes names or syncs; after each, `steps` has the disk as it is then."""

    def follow(call: str, change: Callable[..., None]) -> None:
        original = getattr(os, call)

        def followed(*args: Any, **options: Any) -> None:
            original(*args, **options)
            change(*args)
            steps.append(disk.copy())

        patch.setattr(os, call, followed)

    def moved(source: Path, target: Path) -> None:
        disk.add(target, source)
        disk.remove(source)

    with pytest.MonkeyPatch.context() as patch:
        follow("mkdir", lambda path, *_: disk.add(path))
        follow("symlink", lambda _, path: disk.add(path))
        follow("link", lambda source, path: disk.add(path, source))
        follow("rename", moved)
        follow("replace", moved)
        follow("unlink", disk.remove)
        follow("fsync", lambda descriptor: disk.sync(Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
        yield


def test_a_power_cut_at_any_step_leaves_the_old_table_or_the_new_one(tmp_path: Path) -> None:
    output = tmp_path / "output"
    old = publish(output, ["old"], run_id="old")
    disk, steps = _Disk(), list[_Disk]()
    for path in sorted(output.rglob("*")):
        disk.add(path)
    for path in [output, *sorted(output.rglob("*"))]:
        if not path.is_symlink():
            disk.sync(path)
    files = written(output, ["a"], ["b", "c"], name="new")  # by Spark, which syncs nothing
    directory = output / "tags" / "data" / "new"
    for path in [directory, *sorted(directory.rglob("*"))]:
        disk.add(path)
    with _recorded(disk, steps):
        snapshot.publish(str(output), "new", files, "v1", expected_rows=3, parent=old)
    draws, seen = random.Random(1), set[str]()
    for step, found in enumerate(steps):
        for number in range(DISKS):
            left = tmp_path / f"{step}-{number}"
            found.after_a_power_cut(draws, output, left)
            head = tables.head(left)
            seen.add(head.run_id)
            snapshot.verify(str(left), head)
            link = left / "tags" / "current"
            assert link.exists() and link.resolve().name in (["old", "new"] if head.run_id == "new" else ["old"])
            assert pq.read_table(link.resolve()).num_rows == {"old": 1, "new": 3}[link.resolve().name]
            shutil.rmtree(left)
    steps[-1].after_a_power_cut(draws, output, tmp_path / "end")
    assert tables.head(tmp_path / "end").run_id == "new", "a publish that was acknowledged is not lost"
    assert len(steps) * DISKS >= 500 and seen == {"old", "new"}
