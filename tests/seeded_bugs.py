"""Ten bugs that protocols like ours have had, each put in by name: `SEEDED_BUG=NAME pytest -p tests.seeded_bugs`.

The suite must catch each of them (`test_seeded_bugs.py`); one that it lets pass is a hole in the suite.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fashion_udf import files
from fashion_udf.errors import SnapshotError
from fashion_udf.pipeline import comparison, fingerprint, staging
from fashion_udf.table import local_store, log, paths, retention, snapshot


def _pointer_first() -> None:
    append = log.append

    def moved(of: Any, commit: Any) -> Any:
        of.replace_pointer("tags", f"data/{commit.snapshot_id}", b"")
        return append(of, commit)

    log.append = moved


def _no_fsync() -> None:
    files.sync = lambda path: None


def _commit_before_the_last_file() -> None:
    require = snapshot._require_durable

    def late(output: str, commit: Any, expected_rows: int) -> None:
        require(output, commit, expected_rows)
        for file in commit.files[1:]:
            os.unlink(Path(output) / "tags" / "data" / commit.snapshot_id / file.name)

    snapshot._require_durable = late


def _half_chunks_count() -> None:
    commit = staging.commit_chunk

    def early(directory: Any, written: str, number: int, files: Any) -> None:
        commit(directory, written, number, files[:1])

    staging.commit_chunk = early


def _expire_without_grace() -> None:
    planned = retention.to_remove
    retention.to_remove = lambda output, policy, now=None: planned(  # type: ignore[assignment]
        output, retention.Policy(policy.older_than, policy.keep, 0), now
    )


def _unknown_is_failed() -> None:
    append = log.append

    def impatient(of: Any, commit: Any) -> Any:
        try:
            return append(of, commit)
        except log.CommitUnknownError as error:
            raise SnapshotError(str(error)) from error

    log.append = impatient


def _photo_bytes_do_not_count() -> None:
    identity = fingerprint.image_identity

    def blind(product_id: Any, uri: Any, has_photo: Any, version: Any, observed: Any) -> Any:
        from pyspark.sql import functions as F

        return identity(product_id, uri, has_photo, version, F.when(observed.isNotNull(), F.lit("")))

    fingerprint.image_identity = blind


def _failed_rows_are_done() -> None:
    from pyspark.sql import functions as F

    comparison._failed = lambda status, any_failure: F.lit(False)


def _the_last_writer_wins() -> None:
    def overwritten(path: Path, data: bytes) -> bool:
        files.make_directory(path.parent)
        files.replace_file(path, data)
        return True

    local_store._create = overwritten


def _an_id_is_used_again() -> None:
    paths.new_run_id = lambda: "20250101T000000000000Z-00000000"


#: Bug -> what puts it in, and a file of tests that must fail then.
BUGS: dict[str, tuple[Callable[[], None], str]] = {
    "the pointer moves before the commit": (_pointer_first, "table/test_snapshot_crashes.py"),
    "nothing is forced to the disk": (_no_fsync, "table/test_snapshot_crashes.py"),
    "the commit names files that are not there": (_commit_before_the_last_file, "table/test_snapshot_crashes.py"),
    "half a chunk counts": (_half_chunks_count, "pipeline/test_staging.py"),
    "what was current a moment ago expires": (_expire_without_grace, "table/test_retention.py"),
    "an unknown outcome counts as a failure": (_unknown_is_failed, "table/test_log.py"),
    "the fingerprint leaves the photo's bytes out": (_photo_bytes_do_not_count, "pipeline/test_fingerprint.py"),
    "a failure for a while counts as done": (_failed_rows_are_done, "pipeline/test_comparison.py"),
    "the last writer of a commit wins": (_the_last_writer_wins, "table/test_local_store.py"),
    "two runs have one id": (_an_id_is_used_again, "table/test_snapshot.py"),
}

if bug := os.environ.get("SEEDED_BUG"):
    BUGS[bug][0]()
