"""The numbered log of a table's commits: read and verify it, and append to it with a known outcome.

An append succeeds, fails, or its outcome is unknown. If the outcome is unknown, the log is read and the run's id is
compared. If it is still unknown, `append` raises `CommitUnknownError`. Nothing is ever deleted.
"""

from __future__ import annotations

import logging
import re
from itertools import pairwise

from fashion_udf.errors import CommitConflictError, CommitUnknownError, SnapshotError
from fashion_udf.table import paths
from fashion_udf.table.commit import MAX_COMMIT_BYTES, Commit, parse
from fashion_udf.table.store import Store

logger = logging.getLogger(__name__)


def numbers(store: Store, table: str = paths.TAGS) -> list[int]:
    """Return the commit numbers in the log, ascending and without gaps.

    Raises:
        SnapshotError: a number is missing, a name is not a number, or the log cannot be listed.
    """
    directory = f"{table}/log"
    try:
        names = [name for name in store.list_names(directory) if name.endswith(".json") and not name.startswith(".")]
    except OSError as error:
        raise SnapshotError(f"Expected a readable {directory}. Received: {error}") from error
    if strange := [name for name in names if not re.fullmatch(r"[0-9]{8}\.json", name)]:
        raise SnapshotError(f"Expected only names such as 00000042.json in {directory}. Received: {strange[0]!r}")
    ascending = [int(name[:8]) for name in names]
    for before, after in pairwise(ascending):
        if after != before + 1:
            raise SnapshotError(
                f"Expected {_key(before + 1, table)} before {_key(after, table)}. Received: no such file"
            )
    return ascending


def read(store: Store, number: int, table: str = paths.TAGS) -> Commit:
    """Return a commit.

    Raises:
        SnapshotError: its log file is missing, unreadable or damaged.
    """
    if (commit := find(store, number, table)) is None:
        raise SnapshotError(f"Expected {_key(number, table)}. Received: no such file")
    return commit


def find(store: Store, number: int, table: str = paths.TAGS) -> Commit | None:
    """Return a commit; None if the log has no such number.

    Raises:
        SnapshotError: its log file is unreadable or damaged.
    """
    key = _key(number, table)
    try:
        commit = parse(store.read(key, MAX_COMMIT_BYTES + 1), key)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"Expected a readable {key}. Received: {error}") from error
    if commit.number != number:
        raise SnapshotError(f"Expected commit {number} in {key}. Received: commit {commit.number}")
    return commit


def append(store: Store, commit: Commit, table: str = paths.TAGS) -> Commit:
    """Create the commit's log file, and return this run's commit from the log.

    Raises:
        CommitConflictError: another run has the number.
        CommitUnknownError: the store failed, and the commit may exist or may still appear.
        SnapshotError: the commit was not made.
    """
    failure: OSError | None = None
    try:
        if store.create(_key(commit.number, table), commit.to_json()):
            return commit
    except OSError as error:
        failure = error
    reason = failure or "an existing file that cannot be read"
    unknown = CommitUnknownError(
        f"Expected to know whether commit {commit.number} was made. Received: {reason}. Nothing was deleted. Look for "
        f"run {commit.run_id} in `jobs/snapshots.py list` before you run again"
    )
    try:
        stored = find(store, commit.number, table)
    except SnapshotError as error:
        raise unknown from error
    if stored is not None:
        if stored.run_id != commit.run_id:
            raise conflict(commit.number, stored) from failure
        logger.warning(
            "commit %d was made, although the store answered: %s", commit.number, failure or "exists already"
        )
        return stored
    if failure is None or isinstance(failure, (TimeoutError, ConnectionError)):
        raise unknown from failure  # the store may still write it
    raise SnapshotError(
        f"Expected to create {_key(commit.number, table)}. Received: {failure}; nothing was published"
    ) from failure


def conflict(number: int, newest: Commit | None) -> CommitConflictError:
    """Return the error of a run that started with another newest commit than the log has now."""
    head = f"commit {newest.number} of run {newest.run_id}" if newest else "an empty log"
    return CommitConflictError(
        f"Expected to publish commit {number} on top of the snapshot at this run's start. Received: {head} as the "
        "newest. Nothing of this run was published. Run it again"
    )


def _key(number: int, table: str) -> str:
    return f"{table}/log/{number:08d}.json"
