"""Publish and read snapshots of a table: `tags` by default, or `similar`.

    <output>/tags/data/<snapshot_id>/part-*.parquet                     immutable; names never repeat
    <output>/tags/log/00000042.json                                     one commit each, create-only
    <output>/tags/current, <output>/tags/current.sql                    the newest snapshot, for people
    <output>/tags/pins/, <output>/tags/expired/                         see `pins`
    <output>/staging/<run_id>/, <output>/runs/<run_id>/                 not for readers of the table

A snapshot exists as soon as its log file exists. Files that no commit names do not belong to the table. The highest
number is the current snapshot. `current` (a link if the store has links, otherwise an object that names the snapshot)
follows the log, and this library never reads it. This module never deletes or replaces a file that a reader may have
open. `retention` removes old snapshots.
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
    """Return the newest commit; None if nothing was published.

    Raises:
        SnapshotError: the log is damaged. The message names the file.
    """
    store = open_store(output)
    numbers = log.numbers(store, table)
    return log.read(store, numbers[-1], table) if numbers else None


def newest(output: str, table: str = paths.TAGS) -> Commit:
    """Return the newest commit, which must exist.

    Raises:
        InputError: nothing was published.
        SnapshotError: the log is damaged. The message names the file.
    """
    commit = current(output, table)
    if commit is None:
        raise InputError(f"Expected a published {table} table in --output. Received: {output}, which has no commit")
    return commit


def numbered(output: str, number: int, table: str = paths.TAGS) -> Commit:
    """Return the commit with a number.

    Raises:
        InputError: there is no such commit.
        SnapshotError: the log is damaged. The message names the file.
    """
    last = newest(output, table).number
    # Older commits are not read, because a damaged one must not hide the current table.
    commit = log.find(open_store(output), number, table)
    if commit is None:
        raise InputError(f"Expected the number of a commit up to {last}. Received: {number}")
    return commit


def read_log(output: str, table: str = paths.TAGS) -> list[Commit]:
    """Return all commits, oldest first.

    Raises:
        SnapshotError: the log is damaged. The message names the file.
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
    """Publish the Parquet files that Spark has written to `tags/data/<snapshot_id>/` as the table's next snapshot.

    Args:
        output: root of the output.
        snapshot_id, files: name of the directory, which is also the commit's run id, and all data files in it.
        model_version: version of the bundle that scored the rows.
        expected_rows: number of rows of all files together.
        parent: the result of `current` when the run started.
        made_from: inputs of a table of similar products, which is then published. None publishes tags.

    Returns the new commit, or the commit of an earlier, interrupted call of the same run.

    Raises:
        SnapshotError: the files differ from their description, or the store failed. Nothing was published.
        CommitConflictError: another run published on top of `parent` first.
        CommitUnknownError: it is unknown whether the commit was made. All files were kept.
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
    """Make `tags/current` and `tags/current.sql` name the newest commit, and return that commit."""
    store = open_store(output)
    head = current(output, table)
    while head is not None:
        directory = paths.data_dir(output, head, table)
        sql = views.similar(directory, head.made_from) if head.made_from else view_sql(directory)
        store.replace_pointer(table, f"data/{head.snapshot_id}", sql.encode())
        # The run that replaces the link last also checks last, so that a slow run cannot leave an older snapshot in it.
        if (newest := current(output, table)) == head:
            break
        head = newest
    return head


def view_sql(directory: Path | str) -> str:
    """Return SQL of a DuckDB view on a snapshot's directory or URI, which may not have a backslash."""
    return f"CREATE OR REPLACE VIEW tags AS SELECT * FROM {views.parquet(directory)};\n"


def update_pointer(output: str, commit: Commit, table: str = paths.TAGS) -> None:
    """Run `repair_pointer` after a commit. A failure is only a warning, because the table is already published."""
    try:
        repair_pointer(output, table)
    except (OSError, SnapshotError) as error:  # only the log decides what is published
        logger.warning(
            "commit %d is published, but %s/current stays behind (%s): run `jobs/snapshots.py repair --output %s`",
            commit.number,
            table,
            error,
            output,
        )


def _require_durable(output: str, commit: Commit, expected_rows: int, table: str) -> None:
    """Refuse incomplete files, and force complete ones to the disk."""
    place = paths.snapshot_dir(output, commit.snapshot_id, table)
    if not commit.files:
        raise SnapshotError(f"Expected at least one .parquet file in {place}. Received: none. Nothing was published")
    if commit.rows != expected_rows:
        raise SnapshotError(
            f"Expected {expected_rows} rows in {place}. Received: {commit.rows} rows in {len(commit.files)} files. "
            "Nothing was published"
        )
    data_files.require_listed(output, commit, table)
    try:
        open_store(output).sync(place.key, [file.name for file in commit.files])
    except OSError as error:
        raise SnapshotError(
            f"Expected to force the files of {place} to the disk. Received: {error}. Nothing was published"
        ) from error
