"""Expire: remove old snapshots, the staging of dead runs, and old reports; what is unknown is never removed.

A snapshot stays if it is current, pinned, among the newest `keep`, or was current within the last `older_than`
seconds. Its age comes from the modification times of the log files: a run's id and the time in a commit come from
clocks that may have jumped. A log file never counts as older than the log file before it.

Safe while others publish, pin, roll back and expire:

- A publish names a new snapshot: it can end an old snapshot's time as the current one, and never begin it.
- Only a rollback makes an old snapshot current. A rollback pins first and then looks for a tombstone. `expire` writes
  the tombstone first, then reads the pins and then the log again, before it removes anything. A rollback removes its
  pin after its commit: where `expire` finds no pin, it finds the commit. So one of the two sees the other (see `pins`).
- A tombstone stays after an interrupted removal. The next call finishes the removal, unless the snapshot is current,
  pinned or in `grace`.
- Staging and reports are renamed before they are removed: nobody takes half a directory for a whole one. A live run
  touches `staging/<run_id>/alive`. A run that reads the staging of a dead run touches its `alive` file too.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fashion_udf import files
from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.table import paths, pins, snapshot
from fashion_udf.table.commit import Commit, require_id
from fashion_udf.table.store import local_path

logger = logging.getLogger(__name__)

_REMOVED = ".expired-"  # prefix of a directory that is being removed: no run's id begins with it
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Policy:
    """What to keep: times in seconds, `keep` in snapshots, the current one included.

    Attributes:
        older_than: a snapshot and a run's reports are kept this long.
        keep: this many of the newest snapshots are kept, however old.
        grace: nothing younger is removed. A reader has this time to finish, and a run to use a dead run's staging.
    """

    older_than: float = 30 * 86400
    keep: int = 7
    grace: float = 86400

    def __post_init__(self) -> None:
        if self.keep < 1 or self.older_than < 0 or self.grace < 0:
            raise InputError(f"Expected --keep of at least 1, and no negative time. Received: {self}")


@dataclass(frozen=True)
class Removal:
    """A directory to remove.

    Attributes:
        kind: a snapshot's data, a run's staging, or a run's reports.
        path: of the directory.
        since: when the directory was last in use (current, or written to), in seconds since the epoch.
        size: bytes in the directory.
        commit: the newest commit that names the snapshot; None for staging and reports.
        table: of the snapshot.
    """

    kind: Literal["snapshot", "staging", "run"]
    path: Path
    since: float
    size: int
    commit: Commit | None = None
    table: str = paths.TAGS


def seconds(text: str) -> float:
    """A time such as `90s`, `15m`, `24h` or `30d`.

    Raises:
        InputError: the text has another form.
    """
    if not (match := re.fullmatch(r"([0-9]{1,6})([smhd])", text)):
        raise InputError(f"Expected a time such as 90s, 15m, 24h or 30d. Received: {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def to_remove(output: str, policy: Policy, now: float | None = None) -> list[Removal]:
    """The directories that `expire` would remove; writes nothing.

    Args:
        output: root of the output, a local path.
        policy: what to keep.
        now: seconds since the epoch; the clock's by default.

    Raises:
        SnapshotError: the log, a pin or a tombstone is damaged, or a directory is a link. Then it is unknown what may
            be removed, so nothing is.
    """
    now = time.time() if now is None else now
    root = local_path(output).resolve()
    try:
        logs = {table: snapshot.read_log(output, table) for table in (paths.TAGS, paths.SIMILAR)}
        kept = {
            paths.run_of(commit.run_id)
            for table, log in logs.items()
            for expired in (pins.expired(output, table),)
            for commit in log
            if commit.run_id not in expired
        }
        staging = list(_directories(root / "staging", "staging"))
        # A run that has staging may be live, or a later run may still use its results.
        kept |= {removal.path.name.removeprefix(_REMOVED) for removal in staging}
        if retries := paths.newest_retries(output):
            kept.add(retries.parts[-3])  # quiet nights write no newer one
        runs = (run for run in _directories(root / "runs", "run") if run.path.name not in kept)
        old = now - max(policy.older_than, policy.grace)
        return [
            *(removal for table, log in logs.items() for removal in _snapshots(output, table, log, policy, now)),
            *(removal for removal in staging if removal.since <= now - policy.grace),
            *(removal for removal in runs if removal.since <= old),
        ]
    except OSError as error:
        raise SnapshotError(f"Expected a readable table in {output}. Received: {error}; nothing was removed") from error


def expire(output: str, policy: Policy, now: float | None = None) -> tuple[list[Removal], list[str]]:
    """Remove what `to_remove` lists; returns what was removed, and a line for each directory that could not be removed.

    Args:
        output: root of the output, a local path.
        policy: what to keep.
        now: seconds since the epoch; the clock's by default.

    Raises:
        SnapshotError: as `to_remove` does; nothing was removed.
    """
    removed, problems = [], []
    for removal in to_remove(output, policy, now):
        try:
            if _remove_snapshot(output, removal) if removal.commit else _remove_directory(removal):
                removed.append(removal)
        except (OSError, SnapshotError) as error:
            problems.append(f"{removal.path}: {error}")
    return removed, problems


def _snapshots(output: str, table: str, log: list[Commit], policy: Policy, now: float) -> Iterator[Removal]:
    newest_of = {commit.snapshot_id: commit for commit in log}  # the last commit of each snapshot
    commits = sorted(newest_of.values(), key=lambda commit: commit.number)
    expired, protected = pins.expired(output, table), set(pins.pins(output, table))
    if log:
        protected.add(log[-1].snapshot_id)
    recent = {c.snapshot_id for c in [c for c in commits if c.snapshot_id not in expired][-policy.keep :]}
    left = _last_current(output, table, log)
    for commit in commits:
        age = now - left[commit.number]
        directory = paths.data_dir(output, commit, table)
        if commit.snapshot_id in protected or age < policy.grace:
            continue
        if commit.snapshot_id in expired:
            if not os.path.lexists(directory):
                continue
        elif commit.snapshot_id in recent or age < policy.older_than:
            continue
        yield Removal("snapshot", directory, left[commit.number], _size_and_time(directory)[0], commit, table)


def _last_current(output: str, table: str, log: list[Commit]) -> dict[int, float]:
    """When each commit was last the current one, in seconds since the epoch; infinite for the newest."""
    directory = local_path(output) / table / "log"
    times = (os.lstat(directory / f"{commit.number:08d}.json").st_mtime for commit in log)
    ordered = list(itertools.accumulate(times, max))
    return {commit.number: ended for commit, ended in zip(log, [*ordered[1:], math.inf], strict=False)}


def _directories(parent: Path, kind: Literal["staging", "run"]) -> Iterator[Removal]:
    """The directories of runs under `parent`; a link, a file or a name that no run has is left alone."""
    if parent.is_symlink():
        raise SnapshotError(f"Expected {parent} to be a directory of the table. Received: a link; nothing was removed")
    for name in sorted(os.listdir(parent)) if parent.exists() else ():
        try:
            require_id("run_id", name.removeprefix(_REMOVED))
        except SnapshotError:
            continue
        path = parent / name
        if path.is_dir() and not path.is_symlink():
            size, changed = _size_and_time(path)
            yield Removal(kind, path, 0.0 if name.startswith(_REMOVED) else changed, size)


def _size_and_time(directory: Path) -> tuple[int, float]:
    """Bytes and newest modification time of a tree. The time is infinite if a part of the tree cannot be read."""
    failed: list[OSError] = []
    size, changed = 0, 0.0
    for parent, _, names in os.walk(directory, onerror=failed.append):
        try:
            for status in (os.lstat(parent), *(os.lstat(os.path.join(parent, name)) for name in names)):
                size, changed = size + status.st_size, max(changed, status.st_mtime)
        except OSError as error:  # a live run removes files of its own
            failed.append(error)
    return size, math.inf if failed else changed


def _remove_snapshot(output: str, removal: Removal) -> bool:
    """Remove the files that the commit names; False if the snapshot is pinned or current again."""
    commit, directory, table = removal.commit, removal.path, removal.table
    assert commit is not None
    if directory.resolve() != directory:
        raise SnapshotError(
            f"Expected a directory inside the table. Received: {directory}, a link; nothing was removed"
        )
    # The order matters, as the docstring of this file says: tombstone, pins, log.
    holder = paths.new_run_id()
    pins.write_tombstone(output, commit, holder, table)
    pinned = commit.snapshot_id in pins.pins(output, table)
    head = snapshot.current(output, table)
    if pinned or head is None or head.snapshot_id == commit.snapshot_id:
        pins.remove_tombstone(output, commit, holder, table)
        logger.warning("snapshot %s is pinned or current again: its files stay", commit.snapshot_id)
        return False
    if directory.exists():
        for file in commit.files:
            (directory / file.name).unlink(missing_ok=True)
        os.rmdir(directory)  # fails if there is a file that no commit names: an unknown file is never removed
        files.sync(directory.parent)
    return True


def _remove_directory(removal: Removal) -> bool:
    """Rename a run's directory in one step, then remove it; False if the run was live after all."""
    path = removal.path
    doomed = path if path.name.startswith(_REMOVED) else path.with_name(_REMOVED + path.name)
    if doomed != path:
        os.rename(path, doomed)
        if _size_and_time(doomed)[1] > removal.since:
            os.rename(doomed, path)
            return False
    shutil.rmtree(doomed)
    files.sync(doomed.parent)
    return True
