"""What follows the log: `tags/current`, `tags/current.sql`, the table that `publish.table` names, and the Delta log.

A follower is compared with the newest commit, and mended, at the end of every run and of every command that commits. So
a rollback, a refused table that a person accepts, or a metastore that did not answer leaves none behind for long. A
failure to mend is a warning: the log alone decides what is published.

The snapshot that a table of a metastore shows is pinned, because `expire` cannot ask the metastore. The pin is written
before the table moves, and the pin of the old snapshot is removed after it. The pin names the table, so that a command
without a configuration knows which table to move.
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
    """Make everything that follows the log show the newest commit, at the end of a run; never raises.

    Args:
        output: root of the output, a local path.
        spark: a session whose catalog holds the table.
        table: of `publish.table`; it is made where there is none. None: no table follows.
        with_delta: of `publish.delta`; the Delta log is made where there is none.
    """
    try:
        commit = snapshot.current(output)
    except FashionError as error:
        logger.warning("nothing that follows the log was mended: %s", error)
        return
    if commit is not None:
        snapshot.update_pointer(output, commit)
        mend_delta(output, create=with_delta)
        if table is not None:
            _move(output, spark, table, create=True)


def mend_delta(output: str, create: bool = False) -> bool:
    """Make the Delta log show the newest commit; returns whether it does. A failure is a warning.

    Args:
        output: root of the output, a local path.
        create: make it where there is none.
    """
    try:
        if not create and not delta.exists(output):
            return False
        delta.reconcile(output)
    except Exception as error:  # deltalake has errors of its own, and those of Rust
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # deltalake colours its errors
        reason = " ".join(plain.split())[:300]
        logger.warning("the Delta log stays behind (%s): run `jobs/snapshots.py repair --output %s`", reason, output)
        return False
    return True


def tables_of(output: str) -> list[str]:
    """The names of the tables of metastores that show a snapshot of this output, as the pins say.

    Raises:
        SnapshotError: a pin is damaged.
    """
    return sorted({pin.table for held in pins.pins(output).values() for pin in held if pin.table})


def reconcile_tables(output: str, start: Callable[[], SparkSession]) -> list[str]:
    """Move every table that shows a snapshot of this output to the newest one, after a command has committed.

    The Delta log is one of them.

    Args:
        output: root of the output, a local path.
        start: returns a session; called if there is such a table, as a command starts no Spark without need.

    Returns:
        The names of the tables that show the newest snapshot now. Each of the others has a warning.
    """
    shown = [f"tags/data/{delta.LOG}"] if mend_delta(output) else []
    try:
        if not (tables := tables_of(output)):
            return shown
        spark = start()
    except Exception as error:  # a damaged pin; no pyspark, no Java, a master that does not answer
        reason = " ".join(str(error).split())[:300]
        logger.warning("the tables of publish.table stay behind (%s): %s", reason, _remedy(output))
        return shown
    return shown + [table for table in tables if _move(output, spark, table, create=False)]


def _move(output: str, spark: SparkSession, table: str, create: bool) -> bool:
    """Move a table to the newest snapshot; returns whether it shows that one. A failure is a warning."""
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
            # Another run may have published meanwhile. Whoever moves the table last also looks last.
            if snapshot.newest(output) == commit:
                _release_others(output, table, commit)
                return True
    except (FashionError, OSError) as error:
        logger.warning("%s may stay behind (%s): %s", table, error, _remedy(output))
        return False


def _directory(output: str, commit: Commit) -> Path | str:
    """The directory of a snapshot as Spark names it, so that it can be compared with what a table shows."""
    found = paths.data_dir(output, commit)
    return found if isinstance(found, Path) else paths.snapshot_dir(output, commit.snapshot_id).uri


def _pin_shown(output: str, table: str, shown: Path | str) -> None:
    """Pin the snapshot that a table shows: release 0.1, which pinned none, may have moved it there."""
    if any(pin.table == table for pin in pins.pins(output).get(str(shown).rpartition("/")[2], ())):
        return  # mostly so: the whole log is read only where it is not
    commits = [commit for commit in snapshot.read_log(output) if _directory(output, commit) == shown]
    if commits and commits[-1].snapshot_id not in pins.expired(output):
        _pin(output, table, commits[-1])


def _release_others(output: str, table: str, shown: Commit) -> None:
    for snapshot_id, held in pins.pins(output).items():
        for pin in held:
            if pin.table == table and snapshot_id != shown.snapshot_id:
                pins.remove(output, pin)


def _pin(output: str, table: str, commit: Commit) -> None:
    # Part of a file's name: letters, digits and hyphens, whatever the table's name has.
    holder = f"table-{hashlib.sha256(table.encode()).hexdigest()[:16]}"
    pins.pin(output, commit, f"shown by {table}"[: pins.MAX_NOTE], holder, table)


def _remedy(output: str) -> str:
    return f"run `spark-submit jobs/snapshots.py repair --output {output}` with the job's own Spark settings"
