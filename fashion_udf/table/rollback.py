"""Roll back: make an older snapshot current again, by a new commit. Nothing is copied or removed."""

from __future__ import annotations

import dataclasses

from fashion_udf.errors import InputError
from fashion_udf.table import log, paths, pins, snapshot
from fashion_udf.table.commit import Commit, utc_now
from fashion_udf.table.stores import open_store


def rollback(output: str, number: int) -> Commit:
    """Publish the snapshot of commit `number` again, under the next number.

    The snapshot is pinned while it is verified and committed, so that `retention.expire` cannot remove it meanwhile.

    Args:
        output: root of the output.
        number: number of a commit that names the snapshot.

    Returns:
        The new commit, with a new run id and the old model version; or the newest commit, if it names that snapshot.

    Raises:
        InputError: there is no such commit.
        SnapshotError: the snapshot has expired, or its files differ from the commit. Nothing was published.
        CommitConflictError: another run published meanwhile. Nothing was published.
        CommitUnknownError: it is unknown whether the commit was made.
    """
    head, target = snapshot.current(output), log.find(open_store(output), number)
    if head is None or target is None:
        newest = head.number if head else 0
        raise InputError(f"Expected --to of a commit from 1 to {newest}. Received: {number}")
    commit = head
    if target.snapshot_id != head.snapshot_id:
        run_id = paths.new_run_id()
        with pins.held(output, target, run_id):
            snapshot.verify(output, target)
            following = dataclasses.replace(
                target, number=head.number + 1, parent=head.number, time=utc_now(), run_id=run_id
            )
            commit = log.append(open_store(output), following)
    snapshot.update_pointer(output, commit)
    return commit
