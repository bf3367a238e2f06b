"""Publish and read snapshots of a table: of `tags`, or of another that is named.

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
from pathlib import Path

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.table import data_files, log, paths, views
from fashion_udf.table.commit import Commit, DataFile, MadeFrom, require_id, utc_now
from fashion_udf.table.data_files import verify as verify
from fashion_udf.table.stores import open_store

logger = logging.getLogger(__name__)


def current(output: str, table: str = paths.TAGS) -> Commit | None:
    """The newest commit; None where nothing was published.

    Raises:
        SnapshotError: the log is damaged; the message names the file.
    """
    store = open_store(output)
    numbers = log.numbers(store, table)
    return log.read(store, numbers[-1], table) if numbers else None


def newest(output: str, table: str = paths.TAGS) -> Commit:
    """The newest commit; there must be one.

    Raises:
        InputError: nothing was published.
        SnapshotError: the log is damaged; the message names the file.
    """
    commit = current(output, table)
    if commit is None:
        raise InputError(f"Expected a published {table} table in --output. Received: {output}, which has no commit")
    return commit


def numbered(output: str, number: int, table: str = paths.TAGS) -> Commit:
    """The commit of a number.

    Raises:
        InputError: there is no such commit.
        SnapshotError: the log is damaged; the message names the file.
    """
    last = newest(output, table).number
    # An older commit is read only when it is asked for: a damaged one must not hide today's table.
    commit = log.find(open_store(output), number, table)
    if commit is None:
        raise InputError(f"Expected the number of a commit up to {last}. Received: {number}")
    return commit


def read_log(output: str, table: str = paths.TAGS) -> list[Commit]:
    """Every commit, oldest first.

    Raises:
        SnapshotError: the log is damaged; the message names the file.
    """
    store = open_store(output)
    return [log.read(store, number, table) for number in log.numbers(store, table)]


def publish(
    output: str,
    snapshot_id: str,
    files: tuple[DataFile, ...],
    model_version: str,
    *,
    expected_rows: int,
    parent: Commit | None,
    made_from: MadeFrom | None = None,
) -> Commit:
    """Make the Parquet files that Spark has written to `tags/data/<snapshot_id>/` the table's next snapshot.

    Args:
        output: root of the output.
        snapshot_id, files: the directory, and every data file in it; the commit's run id is the same, so it lands once.
        model_version: of the bundle that scored the rows.
        expected_rows: of all files together.
        parent: what `current` returned when the run began.
        made_from: of a table of similar products, which is then published; None publishes tags.

    Returns the new commit, or the commit of an earlier, interrupted call of the same run.

    Raises:
        SnapshotError: the files are not as described, or the store failed; nothing is published.
        CommitConflictError: another run published on top of `parent` first.
        CommitUnknownError: nobody can tell yet whether the commit landed; all files were kept.
    """
    require_id("run_id", snapshot_id)
    store, table = open_store(output), paths.SIMILAR if made_from else paths.TAGS
    number = parent.number + 1 if parent else 1
    if (head := current(output, table)) != parent:
        if (commit := log.find(store, number, table)) is None or commit.run_id != snapshot_id:
            raise log.conflict(number, head)
    else:
        made = (utc_now(), snapshot_id, model_version, files, made_from)
        commit = Commit(number, snapshot_id, number - 1 or None, *made)
        _require_durable(output, commit, expected_rows, table)
        commit = log.append(store, commit, table)
    update_pointer(output, commit, table)
    return commit


def repair_pointer(output: str, table: str = paths.TAGS) -> Commit | None:
    """Make `tags/current` and `tags/current.sql` name the newest commit again; returns that commit."""
    store = open_store(output)
    head = current(output, table)
    while head is not None:
        directory = paths.data_dir(output, head, table)
        sql = views.similar(directory, head.made_from) if head.made_from else view_sql(directory)
        store.replace_pointer(table, f"data/{head.snapshot_id}", sql.encode())
        # The run that replaces the link last also looks last: a slow run cannot leave it on its own, older snapshot.
        if (newest := current(output, table)) == head:
            break
        head = newest
    return head


def view_sql(directory: Path | str) -> str:
    """SQL of a DuckDB view on a snapshot's directory or URI. It may have any character except a backslash."""
    return f"CREATE OR REPLACE VIEW tags AS SELECT * FROM {views.parquet(directory)};\n"


def update_pointer(output: str, commit: Commit, table: str = paths.TAGS) -> None:
    """Run `repair_pointer` after a commit has landed. A failure is a warning: the table is published already."""
    try:
        repair_pointer(output, table)
    except (OSError, SnapshotError) as error:  # the log decides what is published; the pointer is for people
        logger.warning(
            "commit %d is published, but %s/current stays behind (%s): run `jobs/snapshots.py repair --output %s`",
            commit.number,
            table,
            error,
            output,
        )


def _require_durable(output: str, commit: Commit, expected_rows: int, table: str) -> None:
    """Refuse files that are not all of the table, and force the others to the disk."""
    place = paths.snapshot_dir(output, commit.snapshot_id, table)
    if not commit.files:
        raise SnapshotError(f"Expected at least one .parquet file in {place}. Received: none; nothing was published")
    if commit.rows != expected_rows:
        raise SnapshotError(
            f"Expected {expected_rows} rows in {place}. Received: {commit.rows} rows in {len(commit.files)} files; "
            "nothing was published"
        )
    data_files.require_listed(output, commit, table)
    try:
        open_store(output).sync(place.key, [file.name for file in commit.files])
    except OSError as error:
        raise SnapshotError(
            f"Expected to force the files of {place} to the disk. Received: {error}; nothing was published"
        ) from error
