"""The table as a Delta table at `tags/data/`: a Delta log of the same data files, derived from our log.

Our log decides what is published. The Delta log can be made from it at any time. Each of our commits is one Delta
commit, whose metadata holds our number (`commit`) and the id of the snapshot (`snapshot_id`). Delta's version numbers
differ: version 0 is the commit that was the newest when the Delta log was made.

Two processes never write the same version: the second one fails (`max_commit_retries=0`) and reads both logs again. Our
log is read after the Delta log, so that the process that succeeds never writes an older commit than the previous one.

deltalake must not be used after a fork, so all of this runs on the driver.
"""

from __future__ import annotations

import json
import logging
import math
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from fashion_udf.errors import ConfigError, EnvironmentUnsupportedError, SnapshotError
from fashion_udf.s3 import object_store_options
from fashion_udf.table import paths, pins, s3_store, snapshot
from fashion_udf.table.commit import Commit
from fashion_udf.table.store import is_local, local_path, root_uri, scheme
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from deltalake import DeltaTable

logger = logging.getLogger(__name__)

#: The name of the log. Readers of the Delta table use the path of the directory above it.
LOG = "_delta_log"
_DATA = f"{paths.TAGS}/data"
#: Prevents a reader's VACUUM from removing files of older snapshots. Only `expire` removes these.
CONFIGURATION = {"delta.deletedFileRetentionDuration": "interval 36500 days"}
#: A reader reads the last checkpoint, and at most this many commits after it.
COMMITS_PER_CHECKPOINT = 10
#: Maximum of attempts if other processes write first.
ATTEMPTS = 20


def exists(output: str) -> bool:
    """Return whether the table has a Delta log. An existing log follows every commit, whatever the configuration is."""
    names = open_store(output).list_names(f"{_DATA}/{LOG}")
    return any(name[:20].isdigit() for name in names)  # a killed process may leave other files


def require_package() -> None:
    """Check that deltalake is installed.

    Raises:
        EnvironmentUnsupportedError: deltalake is not installed.
    """
    try:
        import deltalake  # noqa: F401
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            "Expected the deltalake package for the Delta log of the table: pip install 'fashion-udf[delta]'. "
            f"Received: {error}"
        ) from error


def require_usable(output: str) -> None:
    """Check that a Delta log can be written.

    Raises:
        ConfigError: the output is neither on local files nor on S3.
        EnvironmentUnsupportedError: deltalake is not installed.
    """
    require_package()
    if not is_local(output) and scheme(output) not in ("s3", "s3a"):
        raise ConfigError(
            f"Expected an output.path on local files or on S3, because publish.delta is true. Received: {output}"
        )


def reconcile(output: str) -> None:
    """Write the commits that the Delta log lacks, and create the log if there is none.

    Args:
        output: root of the output.

    Raises:
        EnvironmentUnsupportedError: deltalake is not installed.
        InputError: nothing was published.
        SnapshotError: our log or the Delta log is damaged, or other processes wrote first at every attempt.
    """
    require_package()
    from deltalake.exceptions import DeltaError

    for attempt in range(ATTEMPTS):
        try:
            table, written = _open(output), None
            while (commit := _lacking(output, table)) not in (None, written):
                table, written = _write(output, table, commit), commit
            if commit is None:
                return
            problem: Exception = SnapshotError(f"other files than those of commit {commit.number}")
        except DeltaError as error:
            problem = error
            time.sleep(0.01 * attempt)
    raise SnapshotError(
        f"Expected to write the newest commit to {_root(output)}/{LOG}. Received: {' '.join(str(problem).split())}"
    )


def readable(output: str, since: float) -> set[str]:
    """Return the ids of the snapshots that a reader of the Delta table may have open.

    Args:
        output: root of the output.
        since: seconds since the epoch. Snapshots that were current in the Delta log after this time are included.

    Raises:
        EnvironmentUnsupportedError: deltalake is not installed.
        SnapshotError: the Delta log cannot be read.
    """
    if not exists(output):
        return set()
    require_package()
    found, replaced = set(), math.inf
    for version in _history(output, _open(output)):
        # A commit without an id comes from another program. Its files may be those of our previous commit.
        if "snapshot_id" in version:
            if replaced > since:
                found.add(str(version["snapshot_id"]))
            replaced = version["timestamp"] / 1000
    return found


def _root(output: str) -> str:
    place = str(local_path(output).resolve()) if is_local(output) else f"s3{root_uri(output)[len(scheme(output)) :]}"
    return f"{place}/{_DATA}"


def _options(output: str) -> dict[str, str] | None:
    return None if is_local(output) else object_store_options(s3_store.settings())


def _open(output: str) -> DeltaTable | None:
    from deltalake import DeltaTable

    return DeltaTable(_root(output), storage_options=_options(output)) if exists(output) else None


def _history(output: str, table: DeltaTable | None) -> list[dict[str, Any]]:
    """Return the metadata of each version, newest first."""
    from deltalake.exceptions import DeltaError

    try:
        return table.history() if table is not None else []
    except DeltaError as error:
        raise SnapshotError(f"Expected a readable Delta log in {_root(output)}. Received: {error}") from error


def _lacking(output: str, table: DeltaTable | None) -> Commit | None:
    """Return our oldest commit that the Delta log lacks; None if the Delta log has the newest."""
    head = snapshot.newest(output)
    if table is None:
        return head
    if set(_names(table)) == {_name(head, file.name) for file in head.files}:
        return None
    written = next((int(each["commit"]) for each in _history(output, table) if "commit" in each), head.number - 1)
    expired = pins.expired(output)
    for number in range(written + 1, head.number):
        commit = snapshot.numbered(output, number)
        if commit.snapshot_id not in expired:
            return commit
    return head


def _write(output: str, table: DeltaTable | None, commit: Commit) -> DeltaTable:
    """Write one of our commits as the next version of the Delta log, and return the table at that version."""
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions

    made = int(datetime.fromisoformat(commit.time).timestamp() * 1000)
    files = [
        AddAction(_name(commit, file.name), file.size, {}, made, True, json.dumps({"numRecords": file.rows}))
        for file in commit.files
    ]
    with open_store(output).open(f"{_DATA}/{_name(commit, commit.files[0].name)}") as file:
        schema = Schema.from_arrow(pq.read_schema(file))
    properties = CommitProperties(
        custom_metadata={"commit": str(commit.number), "snapshot_id": commit.snapshot_id}, max_commit_retries=0
    )
    if table is None:
        create_table_with_add_actions(
            *(_root(output), schema, files),
            configuration=CONFIGURATION,
            commit_properties=properties,
            storage_options=_options(output),
        )
    else:
        table.create_write_transaction([*files], "overwrite", schema, commit_properties=properties)
    written = DeltaTable(_root(output), storage_options=_options(output))
    if written.version() % COMMITS_PER_CHECKPOINT == COMMITS_PER_CHECKPOINT - 1:
        written.create_checkpoint()
    return written


def _names(table: DeltaTable) -> list[str]:
    """Return the names of the files of a version, relative to the root."""
    import pyarrow as pa

    return list(pa.table(table.get_add_actions(flatten=True)).column("path").to_pylist())


def _name(commit: Commit, file: str) -> str:
    return f"{commit.snapshot_id}/{file}"
