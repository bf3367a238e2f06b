"""Publish, read and verify snapshots of a table on local files: of `tags`, or of another that is named.

    <output>/tags/data/<snapshot_id>/<snapshot_id>-part-00000.parquet   immutable; names never repeat
    <output>/tags/log/00000042.json                                     one commit each, create-only
    <output>/tags/current, <output>/tags/current.sql                    the newest snapshot, for people
    <output>/tags/pins/, <output>/tags/expired/                         see `pins`
    <output>/staging/<run_id>/, <output>/runs/<run_id>/                 not for readers of the table

A snapshot exists from the moment its log file does. The highest number is the current one; `current` follows the log
and is never read back. Nothing here deletes or replaces a file that a reader may have open: `retention` removes old
snapshots.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.files import make_directory, sync
from fashion_udf.table import log, paths, views
from fashion_udf.table.commit import Commit, DataFile, MadeFrom, file_name, require_id, utc_now
from fashion_udf.table.store import local_path, open_store

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


def read_log(output: str, table: str = paths.TAGS) -> list[Commit]:
    """Every commit, oldest first.

    Raises:
        SnapshotError: the log is damaged; the message names the file.
    """
    store = open_store(output)
    return [log.read(store, number, table) for number in log.numbers(store, table)]


def publish(
    output: str,
    staged: Path,
    run_id: str,
    model_version: str,
    *,
    expected_rows: int,
    parent: Commit | None,
    made_from: MadeFrom | None = None,
) -> Commit:
    """Make the Parquet files of a staged directory the table's next snapshot.

    Args:
        output: root of the output, a local path.
        staged: directory that Spark wrote, on the file system of `output`; its `.parquet` files are moved away.
        run_id: of this run; also the id of the snapshot, so a run publishes once.
        model_version: of the bundle that scored the rows.
        expected_rows: rows that the files must hold, together.
        parent: what `current` returned when the run began.
        made_from: of a table of similar products, which is then published; None publishes tags.

    Returns:
        The new commit; or the commit of an earlier, interrupted call of the same run.

    Raises:
        SnapshotError: rows are missing or too many, a file is damaged, or the file system failed; nothing is published.
        CommitConflictError: another run published on top of `parent` first; nothing of this run is published.
        CommitUnknownError: nobody can tell yet whether the commit landed; all files were kept.
    """
    require_id("run_id", run_id)
    store, table = open_store(output), paths.SIMILAR if made_from else paths.TAGS
    before, number = (parent.number, parent.number + 1) if parent else (None, 1)
    if (head := current(output, table)) != parent:
        commit = _own(log.find(store, number, table), number, run_id, head)
    else:
        files = _add_files(output, staged, run_id, expected_rows, table)
        commit = Commit(number, run_id, before, utc_now(), run_id, model_version, files, made_from)
        commit = log.append(store, commit, table)
    update_pointer(output, commit, table)
    return commit


def _own(found: Commit | None, number: int, run_id: str, head: Commit | None) -> Commit:
    """Return the commit if it is this run's; another run published first otherwise.

    It is looked for before any file moves: a run that lost can still use its staged files.
    """
    if found is None or found.run_id != run_id:
        raise log.conflict(number, head)
    return found


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


def view_sql(directory: Path) -> str:
    """SQL of a DuckDB view on a snapshot's directory. The path may have any character except a backslash."""
    return f"CREATE OR REPLACE VIEW tags AS SELECT * FROM {views.parquet(directory)};\n"


def verify(output: str, commit: Commit, table: str = paths.TAGS) -> None:
    """Read a snapshot's data files back and compare them with its commit.

    Raises:
        SnapshotError: files are missing, extra, not plain files, or differ in size, sha256 or row count; names each.
    """
    directory = paths.data_dir(output, commit, table)
    try:
        names = set(os.listdir(directory)) if not directory.is_symlink() else set()
    except OSError:
        names = set()
    problems = [f"{name}: not in the commit" for name in sorted(names - {file.name for file in commit.files})]
    for expected in commit.files:
        problems.extend(_differences(directory / expected.name, expected))
    if problems:
        raise SnapshotError(
            f"Expected {directory} as commit {commit.number} describes it. Received: {'; '.join(problems)}"
        )


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


def _differences(path: Path, expected: DataFile) -> Iterator[str]:
    try:
        if path.parent.is_symlink() or path.is_symlink() or not path.is_file():
            yield f"{expected.name}: missing, or not a plain file"
            return
        if (size := path.stat().st_size) != expected.size:
            yield f"{expected.name}: {size} bytes, not {expected.size}"
        elif (sha256 := _sha256(path)) != expected.sha256:
            yield f"{expected.name}: sha256 {sha256}, not {expected.sha256}"
        elif (rows := _rows(path)) != expected.rows:
            yield f"{expected.name}: {rows} rows, not {expected.rows}"
    except (OSError, SnapshotError) as error:
        yield f"{expected.name}: {error}"


def _add_files(output: str, staged: Path, snapshot_id: str, expected_rows: int, table: str) -> tuple[DataFile, ...]:
    """Check the staged files and move them, durably, into the directory of the snapshot."""
    try:
        files = _describe(staged, snapshot_id)
        if (rows := sum(file.rows for _, file in files)) != expected_rows:
            raise SnapshotError(
                f"Expected {expected_rows} rows in {staged}. Received: {rows} rows in {len(files)} files; "
                "nothing was published"
            )
        directory = local_path(output) / table / "data" / snapshot_id
        make_directory(directory.parent)
        os.mkdir(directory)  # FileExistsError: ids never repeat, so nothing in there may be touched
        for path, file in files:
            os.rename(path, directory / file.name)
        for parent in (directory, *directory.parents[:3]):  # names up to the output's root must survive a power cut
            sync(parent)
    except OSError as error:
        raise SnapshotError(
            f"Expected to move the files of {staged} into the table. Received: {error}; nothing was published"
        ) from error
    return tuple(file for _, file in files)


def _describe(staged: Path, snapshot_id: str) -> list[tuple[Path, DataFile]]:
    """Force the staged files to the disk and describe each under its final name."""
    # Spark leaves _SUCCESS, .crc and _temporary beside its files; DuckDB, unlike Spark, would read them.
    names = sorted(n for n in os.listdir(staged) if n.endswith(".parquet") and not n.startswith((".", "_")))
    if not names:
        raise SnapshotError(f"Expected at least one .parquet file in {staged}. Received: none; nothing was published")
    files = []
    for index, path in enumerate(staged / name for name in names):
        sync(path)
        described = DataFile(file_name(snapshot_id, index), path.stat().st_size, _rows(path), _sha256(path))
        files.append((path, described))
    return files


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowException as error:
        raise SnapshotError(f"Expected a Parquet file. Received: {path} ({error})") from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
