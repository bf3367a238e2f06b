"""The directories of runs and of data below an output."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from fashion_udf.errors import SnapshotError
from fashion_udf.table import paths
from fashion_udf.table.commit import Commit, require_id
from fashion_udf.table.local_store import REMOVED, newest_change
from fashion_udf.table.store import StoredFile
from fashion_udf.table.stores import open_store

Kind = Literal["snapshot", "uncommitted", "staging", "run"]


@dataclass(frozen=True)
class Removal:
    """A directory to remove.

    Attributes:
        kind: a snapshot's data, data without a commit, a run's staging, or a run's reports.
        path: path of the directory, relative to the output's root.
        since: when the directory was last in use (current, or written to), in seconds since the epoch.
        size: bytes in the directory.
        commit: the newest commit that names the snapshot; None for other directories.
        table: table of the data.
    """

    kind: Kind
    path: PurePosixPath
    since: float
    size: int
    commit: Commit | None = None
    table: str = paths.TAGS


def of_runs(output: str, parent: str, kind: Kind) -> Iterator[Removal]:
    """Yield the directories of runs under `parent`. Links, files and other names are ignored."""
    store = open_store(output)
    for name in store.list_names(parent):
        try:
            require_id("run_id", name.removeprefix(REMOVED))
        except SnapshotError:
            continue
        listed, failed = _listed(output, f"{parent}/{name}")
        if listed or failed:
            changed = math.inf if failed else newest_change(listed)
            size = sum(file.size for file in listed)
            yield Removal(kind, PurePosixPath(parent, name), 0.0 if name.startswith(REMOVED) else changed, size)


def _listed(output: str, prefix: str) -> tuple[list[StoredFile], bool]:
    """Return the files under a prefix, and whether a part could not be listed, as when a running job removes files."""
    try:
        return open_store(output).list_files(prefix), False
    except OSError as error:
        return [], error.errno != errno.ELOOP  # a run never makes its directory a link
