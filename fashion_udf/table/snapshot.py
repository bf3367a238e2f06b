"""Publish and read snapshots of the tags table.

    <output>/tags/data/<snapshot_id>/part-*.parquet                     immutable; names never repeat
    <output>/tags/log/00000042.json                                     one commit each, create-only
    <output>/tags/current, <output>/tags/current.sql                    the newest snapshot, for people
    <output>/tags/pins/, <output>/tags/expired/                         see `pins`
    <output>/staging/<run_id>/, <output>/runs/<run_id>/                 not for readers of the table

A snapshot exists from the moment its log file does: files that no commit names do not exist for anybody. The highest
number is the current one; `current` (a link where the store has links, else an object that names the snapshot) follows
the log and is never read back. Nothing here deletes or replaces a file that a reader may have open: `retention` removes
old snapshots.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.table import data_files, log, paths
from fashion_udf.table.commit import Commit, DataFile, require_id, utc_now
from fashion_udf.table.data_files import verify as verify
from fashion_udf.table.stores import open_store

logger = logging.getLogger(__name__)


def current(output: str) -> Commit | None:
    """The newest commit; None where nothing was published.

    Raises:
        SnapshotError: the log is damaged; the message names the file.
    """
    store = open_store(output)
    numbers = log.numbers(store)
    return log.read(store, numbers[-1]) if numbers else None


def newest(output: str) -> Commit:
    """The newest commit; there must be one.

    Raises:
        InputError: nothing was published.
        SnapshotError: the log is damaged; the message names the file.
    """
    commit = current(output)
    if commit is None:
        raise InputError(f"Expected a published tags table in --output. Received: {output}, which has no commit")
    return commit


def numbered(output: str, number: int) -> Commit:
    """The commit of a number.

    Raises:
        InputError: there is no such commit.
        SnapshotError: the log is damaged; the message names the file.
    """
    last = newest(output).number
    # An older commit is read only when it is asked for: a damaged one must not hide today's table.
    commit = log.find(open_store(output), number)
    if commit is None:
        raise InputError(f"Expected the number of a commit up to {last}. Received: {number}")
    return commit


def read_log(output: str) -> list[Commit]:
    """Every commit, oldest first.

    Raises:
        SnapshotError: the log is damaged; the message names the file.
    """
    store = open_store(output)
    return [log.read(store, number) for number in log.numbers(store)]


def publish(
    output: str,
    snapshot_id: str,
    files: tuple[DataFile, ...],
    model_version: str,
    *,
    expected_rows: int,
    parent: Commit | None,
) -> Commit:
    """Make the Parquet files that Spark has written to `tags/data/<snapshot_id>/` the table's next snapshot.

    Args:
        output: root of the output.
        snapshot_id: of the directory; the commit has it for its run id too, so it lands once.
        files: every data file of the directory.
        model_version: of the bundle that scored the rows.
        expected_rows: of all files together.
        parent: what `current` returned when the run began.

    Returns:
        The new commit; or the commit of an earlier, interrupted call of the same run.

    Raises:
        SnapshotError: the files are not as described, or the store failed; nothing is published.
        CommitConflictError: another run published on top of `parent` first; nothing of this run is published.
        CommitUnknownError: nobody can tell yet whether the commit landed; all files were kept.
    """
    require_id("run_id", snapshot_id)
    store = open_store(output)
    number = parent.number + 1 if parent else 1
    if (head := current(output)) != parent:
        commit = log.find(store, number)
        if commit is None or commit.run_id != snapshot_id:
            raise log.conflict(number, head)
    else:
        commit = Commit(number, snapshot_id, number - 1 or None, utc_now(), snapshot_id, model_version, files)
        _require_durable(output, commit, expected_rows)
        commit = log.append(store, commit)
    update_pointer(output, commit)
    return commit


def repair_pointer(output: str) -> Commit | None:
    """Make `tags/current` and `tags/current.sql` name the newest commit again; returns that commit."""
    store = open_store(output)
    head = current(output)
    while head is not None:
        store.replace_pointer(paths.TAGS, f"data/{head.snapshot_id}", view_sql(paths.data_dir(output, head)).encode())
        # The run that replaces the link last also looks last: a slow run cannot leave it on its own, older snapshot.
        if (newest := current(output)) == head:
            break
        head = newest
    return head


def view_sql(directory: Path | str) -> str:
    """SQL of a DuckDB view on a snapshot's directory or URI. It may have any character except a backslash."""
    glob = re.sub(r"([*?\[])", r"[\1]", str(directory)) + "/*.parquet"
    quoted = glob.replace("'", "''")
    # A parent directory called env=prod would otherwise become a column.
    return f"CREATE OR REPLACE VIEW tags AS SELECT * FROM read_parquet('{quoted}', hive_partitioning = false);\n"


def update_pointer(output: str, commit: Commit) -> None:
    """Run `repair_pointer` after a commit has landed. A failure is a warning: the table is published already."""
    try:
        repair_pointer(output)
    except (OSError, SnapshotError) as error:  # the log decides what is published; the pointer is for people
        logger.warning(
            "commit %d is published, but tags/current stays behind (%s): run `jobs/snapshots.py repair --output %s`",
            commit.number,
            error,
            output,
        )


def _require_durable(output: str, commit: Commit, expected_rows: int) -> None:
    """Refuse files that are not all of the table, and force the others to the disk."""
    place = paths.snapshot_dir(output, commit.snapshot_id)
    if not commit.files:
        raise SnapshotError(f"Expected at least one .parquet file in {place}. Received: none; nothing was published")
    if commit.rows != expected_rows:
        raise SnapshotError(
            f"Expected {expected_rows} rows in {place}. Received: {commit.rows} rows in {len(commit.files)} files; "
            "nothing was published"
        )
    data_files.require_listed(output, commit)
    try:
        open_store(output).sync(place.key, [file.name for file in commit.files])
    except OSError as error:
        raise SnapshotError(
            f"Expected to force the files of {place} to the disk. Received: {error}; nothing was published"
        ) from error
