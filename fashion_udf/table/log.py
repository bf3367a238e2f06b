"""The numbered log of a table's commits: read it whole and unaltered, and append to it with a known outcome.

An append lands, does not land, or its outcome is unknown. In doubt, the log is read back and the run's id is compared.
If the outcome is still unknown, `append` raises `CommitUnknownError`. Nothing is ever deleted.
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
    """The commit numbers in the log, ascending; the oldest may have expired, but there are no gaps.

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
    """One commit.

    Raises:
        SnapshotError: its log file is missing, unreadable or damaged.
    """
    if (commit := find(store, number, table)) is None:
        raise SnapshotError(f"Expected {_key(number, table)}. Received: no such file")
    return commit


def find(store: Store, number: int, table: str = paths.TAGS) -> Commit | None:
    """One commit, or None where the log has no such number.

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
    """Create the commit's log file; returns this run's commit as the log holds it.

    Raises:
        CommitConflictError: another run holds the number.
        CommitUnknownError: the store failed, and the commit may have landed or may land yet.
        SnapshotError: the commit did not land.
    """
    failure: OSError | None = None
    try:
        if store.create(_key(commit.number, table), commit.to_json()):
            return commit
    except OSError as error:
        failure = error
    reason = failure or "an existing file that cannot be read"
    unknown = CommitUnknownError(
        f"Expected to learn whether commit {commit.number} landed. Received: {reason}; nothing was deleted: look for "
        f"run {commit.run_id} in `jobs/snapshots.py list` before running again"
    )
    try:
        stored = find(store, commit.number, table)
    except SnapshotError as error:
        raise unknown from error
    if stored is not None:
        if stored.run_id != commit.run_id:
            raise conflict(commit.number, stored) from failure
        logger.warning("commit %d landed, although the store answered: %s", commit.number, failure or "exists already")
        return stored
    if failure is None or isinstance(failure, (TimeoutError, ConnectionError)):
        raise unknown from failure  # the store may still be applying it
    raise SnapshotError(
        f"Expected to create {_key(commit.number, table)}. Received: {failure}; nothing was published"
    ) from failure


def conflict(number: int, newest: Commit | None) -> CommitConflictError:
    """The error of a run that began with another newest commit than the log has now."""
    head = f"commit {newest.number} of run {newest.run_id}" if newest else "an empty log"
    return CommitConflictError(
        f"Expected to publish commit {number} on top of the snapshot this run began with. Received: {head} as the "
        "newest; nothing of this run was published: run it again"
    )


def _key(number: int, table: str) -> str:
    return f"{table}/log/{number:08d}.json"
