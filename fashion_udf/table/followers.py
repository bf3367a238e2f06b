"""The followers of the log: `tags/current`, `tags/current.sql`, the table of `publish.table`, and the Delta log.

Every run, and every command that commits, ends with an update of all followers to the newest commit. So a follower is
not behind for long after a rollback, an accepted table, or a failure of a metastore. A failed update is only a warning,
because the log alone decides what is published.

The snapshot that a metastore's table shows is pinned, because `expire` cannot ask the metastore. The new pin is written
before the table is updated, and the old pin is removed afterwards. The pin names the table, so that a command without a
configuration knows which table to update.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf.errors import FashionError
from fashion_udf.table import delta, metastore, paths, pins, snapshot
from fashion_udf.table.commit import Commit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)


def reconcile(output: str, spark: SparkSession, table: str | None, with_delta: bool = False) -> None:
    """Update all followers to the newest commit at the end of a run. This function never raises.

    Args:
        output: root of the output.
        spark: a session whose catalog holds the table.
        table: the value of `publish.table`. The table is created if it does not exist. None means no table.
        with_delta: the value of `publish.delta`. The Delta log is created if it does not exist.
    """
    try:
        commit = snapshot.current(output)
    except FashionError as error:
        logger.warning("the followers of the log were not updated: %s", error)
        return
    if commit is not None:
        snapshot.update_pointer(output, commit)
        mend_delta(output, create=with_delta)
        if table is not None:
            _move(output, spark, table, create=True)


def mend_delta(output: str, create: bool = False) -> bool:
    """Update the Delta log to the newest commit, and return whether it shows it. A failure is a warning.

    Args:
        output: root of the output.
        create: create the log if it does not exist.
    """
    try:
        if not create and not delta.exists(output):
            return False
        delta.reconcile(output)
    except Exception as error:  # deltalake raises its own exceptions and Rust's
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # removes the colours of deltalake's messages
        reason = " ".join(plain.split())[:300]
        logger.warning("the Delta log stays behind (%s): run `jobs/snapshots.py repair --output %s`", reason, output)
        return False
    return True


def tables_of(output: str) -> list[str]:
    """Return the names of the metastores' tables that show a snapshot of this output, from the pins.

    Raises:
        SnapshotError: a pin is damaged.
    """
    return sorted({pin.table for held in pins.pins(output).values() for pin in held if pin.table})


def reconcile_tables(output: str, start: Callable[[], SparkSession]) -> list[str]:
    """Update every table that shows a snapshot of this output, the Delta log included, after a command has committed.

    Args:
        output: root of the output.
        start: returns a session. It is called only if there is such a table.

    Returns:
        The names of the tables that show the newest snapshot now. A warning is logged for each of the others.
    """
    shown = [f"tags/data/{delta.LOG}"] if mend_delta(output) else []
    try:
        if not (tables := tables_of(output)):
            return shown
        spark = start()
    except Exception as error:  # for example a damaged pin, no pyspark, no Java, or a master that does not answer
        reason = " ".join(str(error).split())[:300]
        logger.warning("the tables of publish.table stay behind (%s): %s", reason, _remedy(output))
        return shown
    return shown + [table for table in tables if _move(output, spark, table, create=False)]


def _move(output: str, spark: SparkSession, table: str, create: bool) -> bool:
    """Update a table to the newest snapshot, and return whether it shows it. A failure is a warning."""
    try:
        while True:
            commit = snapshot.newest(output)
            shown = metastore.shown_directory(spark, table)
            if shown is None and not create:
                logger.warning("%s stays behind: this session's catalog has no such table: %s", table, _remedy(output))
                return False
            directory = _directory(output, commit)
            if shown is not None:
                _pin_shown(output, table, shown)
            _pin(output, table, commit)
            if shown != directory and not metastore.point_to(spark, table, directory):
                logger.warning("%s stays behind: %s", table, _remedy(output))
                return False
            # Another run may have published meanwhile. The process that updates the table last also checks last.
            if snapshot.newest(output) == commit:
                _release_others(output, table, commit)
                return True
    except (FashionError, OSError) as error:
        logger.warning("%s may stay behind (%s): %s", table, error, _remedy(output))
        return False


def _directory(output: str, commit: Commit) -> Path | str:
    """Return the directory of a snapshot as Spark names it, to compare it with that of a table."""
    found = paths.data_dir(output, commit)
    return found if isinstance(found, Path) else paths.snapshot_dir(output, commit.snapshot_id).uri


def _pin_shown(output: str, table: str, shown: Path | str) -> None:
    """Pin the snapshot that a table shows: release 0.1 updated tables without a pin."""
    if any(pin.table == table for pin in pins.pins(output).get(str(shown).rpartition("/")[2], ())):
        return  # the usual case, in which the whole log need not be read
    commits = [commit for commit in snapshot.read_log(output) if _directory(output, commit) == shown]
    if commits and commits[-1].snapshot_id not in pins.expired(output):
        _pin(output, table, commits[-1])


def _release_others(output: str, table: str, shown: Commit) -> None:
    for snapshot_id, held in pins.pins(output).items():
        for pin in held:
            if pin.table == table and snapshot_id != shown.snapshot_id:
                pins.remove(output, pin)


def _pin(output: str, table: str, commit: Commit) -> None:
    # A part of a file name may only have letters, digits and hyphens, unlike the table's name.
    holder = f"table-{hashlib.sha256(table.encode()).hexdigest()[:16]}"
    pins.pin(output, commit, f"shown by {table}"[: pins.MAX_NOTE], holder, table)


def _remedy(output: str) -> str:
    return f"run `spark-submit jobs/snapshots.py repair --output {output}` with the job's own Spark settings"
