"""Pins and tombstones, small files about snapshots: a pin keeps a snapshot, a tombstone marks an expired one.

    <output>/tags/pins/<snapshot_id>.json              pin of a person, with a note
    <output>/tags/pins/<snapshot_id>.<run_id>.json     pin of a rollback, while it works
    <output>/tags/pins/<snapshot_id>.table-<id>.json   pin of a metastore's table, while it shows the snapshot
    <output>/tags/expired/<snapshot_id>.<id>.json      written by one call of expire before it removes any data
    <output>/similar/pins/..., expired/...             the same for similar products

A call that keeps a snapshot writes the pin first and then looks for tombstones. A call that removes a snapshot writes
the tombstone first and then looks for pins. So at least one of the two sees the other's file; whichever sees it removes
its own file and stops. A kept snapshot is never removed, and a removed one is never kept. A call of expire trusts only
its own tombstone, because the writer of another one may be about to remove it. The files of a killed process are safe:
a pin keeps its snapshot, and a tombstone refuses rollbacks.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fashion_udf.errors import CommitUnknownError, InputError, SnapshotError
from fashion_udf.table import paths
from fashion_udf.table.commit import Commit, require_id, utc_now
from fashion_udf.table.stores import open_store

logger = logging.getLogger(__name__)

FORMAT = 1

#: Maximum of bytes in a pin or tombstone, and of characters in a note.
MAX_PIN_BYTES = 4096
MAX_NOTE = 200


@dataclass(frozen=True)
class Pin:
    """A pin: the name of its file under `tags/pins`, and the note in it, which tells why the snapshot is kept.

    `table` is the name of the metastore's table that shows the snapshot. It is None for other pins.
    """

    name: str
    note: str
    table: str | None = None


def pins(output: str, table: str = paths.TAGS) -> dict[str, list[Pin]]:
    """Return all pins, by the id of the snapshot.

    Raises:
        SnapshotError: a pin has an unexpected name, is no plain file, or is damaged. The message names it.
    """
    by_snapshot: dict[str, list[Pin]] = {}
    for name in _names(output, f"{table}/pins"):
        if (tree := _read(output, f"{table}/pins/{name}")) is not None:  # None if it was removed since the listing
            by_snapshot.setdefault(name.split(".")[0], []).append(Pin(name, tree["note"], tree.get("table")))
    return by_snapshot


def pin(
    output: str,
    commit: Commit,
    note: str = "",
    holder: str | None = None,
    table: str | None = None,
    *,
    of: str = paths.TAGS,
) -> bool:
    """Keep a commit's snapshot until `unpin`. Return False if it was pinned already.

    Args:
        output: root of the output.
        commit: any commit that names the snapshot.
        note: the reason, in at most `MAX_NOTE` printable characters.
        holder: id of the run or table that needs the snapshot for a while; None for a person.
        table: name of the metastore's table that shows the snapshot, if the pin is for a table.
        of: `paths.TAGS` or `paths.SIMILAR`, the table of the commit.

    Raises:
        InputError: the note is too long or not printable.
        SnapshotError: the snapshot has expired, or the pin could not be written.
    """
    if len(note) > MAX_NOTE or not note.isprintable():
        raise InputError(f"Expected a note of at most {MAX_NOTE} printable characters. Received: {note[:MAX_NOTE]!r}")
    require_not_expired(output, commit, of)
    key = f"{of}/pins/{_name(commit, holder)}"
    named = {"table": table} if table else {}
    created = _create(output, key, {"note": note, "number": commit.number, **named})
    try:
        require_not_expired(output, commit, of)
    except SnapshotError:
        _remove(output, key)
        raise
    return created


def unpin(output: str, commit: Commit, of_tables: bool = False, *, of: str = paths.TAGS) -> list[str]:
    """Remove the pins of a commit's snapshot, also those of killed rollbacks. Return the names of the removed files.

    Args:
        output: root of the output.
        commit: any commit that names the snapshot.
        of_tables: also remove the pins of metastores' tables, whose readers need the files.
        of: as in `pin`.

    Raises:
        SnapshotError: a pin is damaged or cannot be removed.
    """
    held = pins(output, of).get(commit.snapshot_id, ())
    names = [pin.name for pin in held if of_tables or not pin.table]
    for name in names:
        _remove(output, f"{of}/pins/{name}")
    return names


def remove(output: str, held: Pin) -> None:
    """Remove one pin.

    Raises:
        SnapshotError: the pin cannot be removed.
    """
    _remove(output, f"{paths.TAGS}/pins/{held.name}")


@contextmanager
def held(output: str, commit: Commit, run_id: str, of: str = paths.TAGS) -> Iterator[None]:
    """Pin a snapshot while the block runs. The pin stays if the outcome of the block is unknown.

    Raises:
        SnapshotError: the snapshot has expired, or the pin could not be written.
    """
    pin(output, commit, note=f"held by {run_id}", holder=run_id, of=of)
    try:
        yield
    except CommitUnknownError:
        raise  # the commit may still appear and need the snapshot, so the pin stays
    except BaseException:
        _release(output, commit, run_id, of)
        raise
    _release(output, commit, run_id, of)


def write_tombstone(output: str, commit: Commit, holder: str, table: str = paths.TAGS) -> None:
    """Write the tombstone of a commit's snapshot for the call of expire with the id `holder`.

    Raises:
        SnapshotError: the tombstone could not be written.
    """
    key = f"{table}/expired/{_name(commit, holder)}"
    if not _create(output, key, {"note": "", "number": commit.number}):
        raise SnapshotError(f"Expected to create {key}. Received: an existing file. Nothing was removed")


def remove_tombstone(output: str, commit: Commit, holder: str, table: str = paths.TAGS) -> None:
    """Remove the tombstone of the call of expire `holder`, which has removed no data.

    Raises:
        SnapshotError: the tombstone cannot be removed.
    """
    _remove(output, f"{table}/expired/{_name(commit, holder)}")


def expired(output: str, table: str = paths.TAGS) -> set[str]:
    """Return the ids of the snapshots with a tombstone.

    Raises:
        SnapshotError: a tombstone has an unexpected name, is no plain file, or is damaged. The message names it.
    """
    names = _names(output, f"{table}/expired")
    return {name.split(".")[0] for name in names if _read(output, f"{table}/expired/{name}") is not None}


def require_not_expired(output: str, commit: Commit, table: str = paths.TAGS) -> None:
    """Refuse a commit whose snapshot has expired.

    Raises:
        SnapshotError: the snapshot has a tombstone.
    """
    if commit.snapshot_id in expired(output, table):
        raise SnapshotError(
            f"Expected a snapshot that is kept. Received: commit {commit.number}, whose snapshot {commit.snapshot_id} "
            "has expired. `jobs/snapshots.py list` shows the kept ones"
        )


def _release(output: str, commit: Commit, run_id: str, of: str) -> None:
    try:
        _remove(output, f"{of}/pins/{_name(commit, run_id)}")
    except SnapshotError as error:  # a snapshot kept too long is harmless; an error would hide the outcome
        logger.warning("snapshot %s stays pinned: %s", commit.snapshot_id, error)


def _name(commit: Commit, holder: str | None) -> str:
    return f"{commit.snapshot_id}.{holder}.json" if holder else f"{commit.snapshot_id}.json"


def _names(output: str, prefix: str) -> list[str]:
    try:
        names = [name for name in open_store(output).list_names(prefix) if not name.startswith(".")]
    except OSError as error:
        raise SnapshotError(f"Expected a readable {prefix}. Received: {error}") from error
    for name in names:
        parts = name.split(".")
        if parts[-1] != "json" or len(parts) > 3:
            raise SnapshotError(f"Expected only names such as <snapshot_id>.json in {prefix}. Received: {name!r}")
        for part in parts[:-1]:
            require_id(f"{prefix}/{name} to hold an id", part)
    return names


def _create(output: str, key: str, tree: dict[str, Any]) -> bool:
    data = json.dumps({"format": FORMAT, "time": utc_now(), **tree}, sort_keys=True).encode() + b"\n"
    try:
        return open_store(output).create(key, data)
    except OSError as error:
        raise SnapshotError(f"Expected to create {key}. Received: {error}. Nothing was removed") from error


def _read(output: str, key: str) -> dict[str, Any] | None:
    try:
        data = open_store(output).read(key, MAX_PIN_BYTES + 1)
        tree = json.loads(data) if len(data) <= MAX_PIN_BYTES else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise SnapshotError(f"Expected a readable {key}. Received: {str(error)[:200]}") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT or not isinstance(tree.get("note"), str):
        raise SnapshotError(
            f"Expected at most {MAX_PIN_BYTES} bytes in format {FORMAT} in {key}. Received: {data[:60]!r}"
        )
    return tree


def _remove(output: str, key: str) -> None:
    try:
        open_store(output).delete(key)
    except OSError as error:
        raise SnapshotError(
            f"Expected to remove {key}. Received: {error}. Remove it with `jobs/snapshots.py unpin` or by hand"
        ) from error
