"""Ids of runs and snapshots, and the directories that they name below `<output>/`.

    tags/data/<snapshot_id>/   the files of a snapshot; of similar products: similar/data/<snapshot_id>/
    staging/<run_id>/          what a run keeps until it publishes
    runs/<run_id>/             its reports

A run that publishes at its first attempt names the snapshot after itself; a later attempt adds a suffix.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from fashion_udf.table.commit import Commit, require_id
from fashion_udf.table.store import local_path

TAGS = "tags"
SIMILAR = "similar"
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}")  # as `new_run_id` makes them


def new_run_id() -> str:
    """An id that sorts by time (UTC, microseconds) and is unique however many runs start at once."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"


def attempt_id(run_id: str, name: str) -> str:
    """Snapshot id for a later attempt of a run.

    The first attempt's id cannot be reused: its data directory may already exist.
    """
    return f"{run_id}-{name}"


def run_of(published_id: str) -> str:
    """Id of the run that made a commit, from the commit's `run_id`: without the suffix that `attempt_id` may add."""
    match = _RUN_ID.match(published_id)
    return match[0] if match else published_id


def staging_dir(output: str, run_id: str) -> Path:
    """The directory of a run's work until it publishes; on the same file system as the table."""
    require_id("run_id", run_id)
    return local_path(output) / "staging" / run_id


def run_dir(output: str, run_id: str) -> Path:
    """Where a run leaves its reports."""
    require_id("run_id", run_id)
    return local_path(output) / "runs" / run_id


def newest_retries(output: str, but: str = "") -> Path | None:
    """The list of photos that could not be had which a run wrote last, `runs/<run_id>/retries.parquet/<file>`.

    Args:
        output: root of the output, a local path.
        but: id of a run whose list is left out.
    """
    lists = (local_path(output) / "runs").glob("*/retries.parquet/part-*.parquet")
    found = [(path.stat().st_mtime_ns, path) for path in lists if path.parts[-3] != but]
    return max(found)[1] if found else None


def data_dir(output: str, commit: Commit, table: str = TAGS) -> Path:
    """The resolved directory of a snapshot. A reader opens it, and keeps it while later runs publish."""
    return local_path(output).resolve() / table / "data" / commit.snapshot_id
