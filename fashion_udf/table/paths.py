"""Ids of runs and snapshots, and their places below `<output>/`.

    tags/data/<snapshot_id>/   the files of a snapshot; of similar products: similar/data/<snapshot_id>/
    staging/<run_id>/          files of a run until it publishes
    runs/<run_id>/             reports of a run

A run that publishes at its first attempt uses its id as the snapshot id. A later attempt adds a suffix.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fashion_udf.table.commit import Commit, require_id
from fashion_udf.table.store import Store, is_local, local_path, root_uri
from fashion_udf.table.stores import open_store

TAGS = "tags"
DATA = f"{TAGS}/data"
LOG = f"{TAGS}/log"
STAGING = "staging"
RUNS = "runs"
SIMILAR = "similar"
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}")  # see `new_run_id`


@dataclass(frozen=True)
class Location:
    """A place below an output, in any store.

    Attributes:
        output: root of the output, a local path or a URI.
        key: path relative to the root, with "/" between its parts.
    """

    output: str
    key: str

    def __truediv__(self, name: str) -> Location:
        """Return the place of a name below this one."""
        return Location(self.output, f"{self.key}/{name}")

    def __str__(self) -> str:
        """Return the path of a local place, or the URI of a remote one."""
        root = local_path(self.output) if is_local(self.output) else self.output.rstrip("/")
        return f"{root}/{self.key}"

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def uri(self) -> str:
        """The URI of the place for Spark, with its scheme."""
        return f"{root_uri(self.output)}/{self.key}"

    @property
    def store(self) -> Store:
        """The store of the place."""
        return open_store(self.output)


def new_run_id() -> str:
    """Return a unique id that sorts by time (UTC, microseconds)."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"


def attempt_id(run_id: str, name: str) -> str:
    """Return the snapshot id for a later attempt of a run.

    The first attempt's id cannot be reused, because its data directory may already exist.
    """
    return f"{run_id}-{name}"


def run_of(published_id: str) -> str:
    """Return the id of the run that made a commit: the commit's `run_id` without a suffix of `attempt_id`."""
    match = _RUN_ID.match(published_id)
    return match[0] if match else published_id


def staging_dir(output: str, run_id: str) -> Location:
    """Return the place of a run's files until it publishes."""
    require_id("run_id", run_id)
    return Location(output, f"{STAGING}/{run_id}")


def run_dir(output: str, run_id: str) -> Location:
    """Return the place of a run's reports."""
    require_id("run_id", run_id)
    return Location(output, f"{RUNS}/{run_id}")


def snapshot_dir(output: str, snapshot_id: str, table: str = TAGS) -> Location:
    """Return where Spark writes the files of a snapshot. They are published when a commit names them."""
    require_id("snapshot_id", snapshot_id)
    return Location(output, f"{table}/data/{snapshot_id}")


def newest_retries(output: str, but: str = "") -> Location | None:
    """Return the newest list of unreachable photos, `runs/<run_id>/retries.parquet/<file>`.

    Args:
        output: root of the output.
        but: id of a run whose list is ignored.
    """
    pattern = re.compile(rf"{RUNS}/([^/]+)/retries\.parquet/part-[^/]*\.parquet")
    listed = ((pattern.fullmatch(file.key), file) for file in open_store(output).list_files(RUNS))
    found = [(file.time, file.key) for match, file in listed if match and match[1] != but]
    return Location(output, max(found)[1]) if found else None


def data_dir(output: str, commit: Commit, table: str = TAGS) -> Path | str:
    """Return the resolved directory of a snapshot: a path, or a URI if the output is not local.

    A reader can use it while later runs publish.
    """
    place = snapshot_dir(output, commit.snapshot_id, table)
    return local_path(output).resolve() / place.key if is_local(output) else str(place)
