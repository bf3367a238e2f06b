"""Roll back: make an older snapshot current again, by a new commit. Nothing is copied or removed."""

from __future__ import annotations

import dataclasses

from fashion_udf.errors import InputError
from fashion_udf.table import log, paths, pins, snapshot
from fashion_udf.table.commit import Commit, utc_now
from fashion_udf.table.stores import open_store


def rollback(output: str, number: int, table: str = paths.TAGS) -> Commit:
    """Publish the snapshot of commit `number` again, under the next number.

    The snapshot is pinned while it is verified and committed, so that `retention.expire` cannot remove it meanwhile.

    Args:
        output: root of the output.
        number: number of a commit that names the snapshot.
        table: `paths.TAGS` or `paths.SIMILAR`.

    Returns:
        The new commit, with a new run id and the old model version; or the newest commit, if it names that snapshot.

    Raises:
        InputError: there is no such commit, or its lists are of another model than the current tags.
        SnapshotError: the snapshot has expired, or its files differ from the commit. Nothing was published.
        CommitConflictError: another run published meanwhile. Nothing was published.
        CommitUnknownError: it is unknown whether the commit was made.
    """
    head, target = snapshot.current(output, table), log.find(open_store(output), number, table)
    if head is None or target is None:
        newest = head.number if head else 0
        raise InputError(f"Expected --to of a commit from 1 to {newest}. Received: {number}")
    if table == paths.SIMILAR:
        _require_model_of_tags(output, target)
    commit = head
    if target.snapshot_id != head.snapshot_id:
        run_id = paths.new_run_id()
        with pins.held(output, target, run_id, table):
            snapshot.verify(output, target, table)
            following = dataclasses.replace(
                target, number=head.number + 1, parent=head.number, time=utc_now(), run_id=run_id
            )
            commit = log.append(open_store(output), following, table)
    snapshot.update_pointer(output, commit, table)
    return commit


def _require_model_of_tags(output: str, lists: Commit) -> None:
    """Refuse lists that nobody would see: embeddings of two models say nothing of each other."""
    tags = snapshot.newest(output)
    if lists.model_version != tags.model_version:
        raise InputError(
            f"Expected --to of lists of the model of the current tags, {tags.model_version[:12]}. Received: commit "
            f"{lists.number}, of {lists.model_version[:12]}; roll the tags back first"
        )
