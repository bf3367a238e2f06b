"""Expire: remove old snapshots, the staging of killed runs, and old reports. Unknown files are never removed.

A snapshot stays if it is current, pinned, among the newest `keep`, or was current within the last `older_than`
seconds. Its age comes from the modification times of the log files, because the clocks that made a run's id and the
time in a commit may have been wrong. A log file never counts as older than the log file before it.

`expire` is safe while other processes publish, pin, roll back and expire:

- A publish names a new snapshot. It never makes an old snapshot current.
- Only a rollback makes an old snapshot current. A rollback pins first and then looks for a tombstone. `expire` writes
  the tombstone first, then reads the pins and then the log again, before it removes anything. A rollback removes its
  pin after its commit, so that `expire` finds either the pin or the commit. So one of the two sees the other (see
  `pins`).
- Files that a reader of the Delta table may have open stay: the Delta log is updated first, and the grace time starts
  when the Delta log names other files.
- A tombstone stays after an interrupted removal. The next call finishes the removal, unless the snapshot is current,
  pinned or within `grace`.
- Staging is renamed first, or its manifests are removed first, so that no run uses a part of it. A running job touches
  `staging/<run_id>/alive`. A run that reads the staging of a killed run touches that run's `alive` too.
- Data without a commit stays while its run has staging: without staging, no run commits, and nobody can accept a
refused
  table.
"""

from __future__ import annotations

import errno
import itertools
import logging
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.table import data_files, delta, directories, followers, paths, pins, snapshot
from fashion_udf.table.commit import Commit
from fashion_udf.table.directories import Removal
from fashion_udf.table.local_store import REMOVED
from fashion_udf.table.stores import open_store

logger = logging.getLogger(__name__)

_TABLES = (paths.TAGS, paths.SIMILAR)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Policy:
    """What to keep. Times are in seconds.

    Attributes:
        older_than: how long a snapshot and a run's reports are kept.
        keep: number of the newest snapshots that are kept at any age, with the current one.
        grace: nothing younger is removed. Readers can finish within this time, and a run can use a killed run's
            staging.
    """

    older_than: float = 30 * 86400
    keep: int = 7
    grace: float = 86400

    def __post_init__(self) -> None:
        if self.keep < 1 or self.older_than < 0 or self.grace < 0:
            raise InputError(f"Expected --keep of at least 1, and no negative time. Received: {self}")


def seconds(text: str) -> float:
    """Return the seconds of a time such as `90s`, `15m`, `24h` or `30d`.

    Raises:
        InputError: the text has another form.
    """
    if not (match := re.fullmatch(r"([0-9]{1,6})([smhd])", text)):
        raise InputError(f"Expected a time such as 90s, 15m, 24h or 30d. Received: {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def to_remove(output: str, policy: Policy, now: float | None = None) -> list[Removal]:
    """Return the directories that `expire` would remove. Nothing is written.

    Args:
        output: root of the output.
        policy: what to keep.
        now: seconds since the epoch. Default: the clock.

    Raises:
        SnapshotError: the log, a pin or a tombstone is damaged, or a directory is a link. Then nothing may be removed.
    """
    now = time.time() if now is None else now
    try:
        logs = {table: snapshot.read_log(output, table) for table in _TABLES}
        kept = {run for table, log in logs.items() for run in _publishers(output, table, log)}
        staging = list(directories.of_runs(output, paths.STAGING, "staging"))
        # A run with staging may still be running, or a later run may still use its results.
        used = {removal.path.name.removeprefix(REMOVED) for removal in staging}
        kept |= used
        if retries := paths.newest_retries(output):
            kept.add(retries.key.split("/")[1])  # nights without changes write no newer list
        runs = (run for run in directories.of_runs(output, paths.RUNS, "run") if run.path.name not in kept)
        old = now - max(policy.older_than, policy.grace)
        return [
            *(removal for table, log in logs.items() for removal in _snapshots(output, table, log, policy, now)),
            *(
                removal
                for table, log in logs.items()
                for removal in _uncommitted(output, table, log, used)
                if removal.since <= now - policy.grace
            ),
            *(removal for removal in staging if removal.since <= now - policy.grace),
            *(removal for removal in runs if removal.since <= old),
        ]
    except OSError as error:
        raise SnapshotError(f"Expected a readable table in {output}. Received: {error}. Nothing was removed") from error


def expire(output: str, policy: Policy, now: float | None = None) -> tuple[list[Removal], list[str]]:
    """Remove the directories of `to_remove`. Return the removed ones, and a message for each that could not be removed.

    Args:
        output: root of the output.
        policy: what to keep.
        now: seconds since the epoch. Default: the clock.

    Raises:
        SnapshotError: as in `to_remove`. Nothing was removed.
    """
    removed, problems = [], []
    followers.mend_delta(output)
    for removal in to_remove(output, policy, now):
        try:
            if _remove_snapshot(output, removal) if removal.commit else _remove_directory(output, removal):
                removed.append(removal)
        except (OSError, SnapshotError) as error:
            problems.append(f"{removal.path}: {error}")
    return removed, problems


def _publishers(output: str, table: str, log: list[Commit]) -> set[str]:
    """Return the runs whose published snapshots have not expired."""
    expired = pins.expired(output, table)
    return {paths.run_of(commit.run_id) for commit in log if commit.run_id not in expired}


def _snapshots(output: str, table: str, log: list[Commit], policy: Policy, now: float) -> Iterator[Removal]:
    newest_of = {commit.snapshot_id: commit for commit in log}  # the last commit of each snapshot
    commits = sorted(newest_of.values(), key=lambda commit: commit.number)
    expired, protected = pins.expired(output, table), set(pins.pins(output, table))
    if table == paths.TAGS:
        protected |= delta.readable(output, now - policy.grace)
    if log:
        protected.add(log[-1].snapshot_id)
    recent = {c.snapshot_id for c in [c for c in commits if c.snapshot_id not in expired][-policy.keep :]}
    left = _last_current(output, table, log)
    there = set(open_store(output).list_names(f"{table}/data"))
    for commit in commits:
        age = now - left[commit.number]
        if commit.snapshot_id in protected or age < policy.grace:
            continue
        if commit.snapshot_id in expired:
            if commit.snapshot_id not in there:
                continue
        elif commit.snapshot_id in recent or age < policy.older_than:
            continue
        path = PurePosixPath(table, "data", commit.snapshot_id)
        yield Removal("snapshot", path, left[commit.number], commit.size, commit, table)


def _last_current(output: str, table: str, log: list[Commit]) -> dict[int, float]:
    """Return when each commit was last current, in seconds since the epoch; infinity for the newest."""
    changed = {file.key.rpartition("/")[2]: file.time for file in open_store(output).list_files(f"{table}/log")}
    times = (changed[f"{commit.number:08d}.json"] for commit in log)
    ordered = list(itertools.accumulate(times, max))
    return {commit.number: ended for commit, ended in zip(log, [*ordered[1:], math.inf], strict=False)}


def _uncommitted(output: str, table: str, log: list[Commit], used: set[str]) -> Iterator[Removal]:
    """Yield the data directories without a commit, of runs without staging."""
    named = {commit.snapshot_id for commit in log}
    for removal in directories.of_runs(output, f"{table}/data", "uncommitted"):
        name = removal.path.name
        if name.startswith(REMOVED) or (name not in named and paths.run_of(name) not in used):
            yield replace(removal, table=table)


def _remove_snapshot(output: str, removal: Removal) -> bool:
    """Remove the files that the commit names. Return False if the snapshot is pinned or current again."""
    commit, table, store = removal.commit, removal.table, open_store(output)
    assert commit is not None
    try:
        listed = store.list_files(str(removal.path))
    except OSError as error:
        raise SnapshotError(f"Expected a directory inside the table. Received: {error}. Nothing was removed") from error
    # The order matters (see the docstring of this file): tombstone, pins, log.
    holder = paths.new_run_id()
    pins.write_tombstone(output, commit, holder, table)
    pinned = commit.snapshot_id in pins.pins(output, table)
    head = snapshot.current(output, table)
    if pinned or head is None or head.snapshot_id == commit.snapshot_id:
        pins.remove_tombstone(output, commit, holder, table)
        logger.warning("snapshot %s is pinned or current again: its files stay", commit.snapshot_id)
        return False
    if listed:
        for file in commit.files:
            store.delete(f"{removal.path}/{file.name}")
        if data_files.inside(paths.snapshot_dir(output, commit.snapshot_id, table)):  # unknown files are never removed
            raise OSError(errno.ENOTEMPTY, "Directory not empty")
        store.delete_tree(str(removal.path), math.inf)
    return True


def _remove_directory(output: str, removal: Removal) -> bool:
    """Remove a directory that is no snapshot. Return False if it is in use again."""
    name = removal.path.name
    if removal.kind == "uncommitted" and not name.startswith(REMOVED):
        log, staging = snapshot.read_log(output, removal.table), open_store(output).list_names(paths.STAGING)
        if paths.run_of(name) in staging or name in {commit.snapshot_id for commit in log}:
            return False
    return open_store(output).delete_tree(str(removal.path), removal.since)
