"""A table that the audit refused. It is kept without a commit, until a person looks at it and publishes it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashion_udf.errors import InputError
from fashion_udf.pipeline import gates, staging
from fashion_udf.pipeline.gates import Broken
from fashion_udf.table import data_files, paths, snapshot
from fashion_udf.table.commit import MAX_COMMIT_BYTES, Commit, DataFile
from fashion_udf.table.paths import Location

_NAME = "candidate.json"


class _Refused(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot_id: str | None = None
    files: tuple[DataFile, ...] = ()
    tags: str | None = Field(None, pattern=r"^tags-[0-9]+$")  # release 0.1 kept the table beside this file
    model_version: str
    rows: int
    parent: int | None
    gates: dict[str, str]  # name -> message


def keep_refused(
    directory: Location,
    table: Location,
    files: tuple[DataFile, ...],
    model_version: str,
    rows: int,
    parent: Commit | None,
    broken: Sequence[Broken],
) -> str:
    """Keep a refused table until a person accepts it.

    Args:
        directory: staging directory of the run.
        table: the directory of the table, below `tags/data`. No commit names it.
        files: the files of the table.
        model_version: version of the bundle.
        rows: number of rows that the table must have.
        parent: the commit that the table is based on.
        broken: the gates that refuse the table.

    Returns:
        The message of a `GateRefusedError`: what broke, where to look, and how to accept the table.
    """
    kept = _Refused(
        snapshot_id=table.name,
        files=files,
        model_version=model_version,
        rows=rows,
        parent=parent.number if parent else None,
        gates={gate.gate: gate.message for gate in broken},
    )
    told = kept.model_dump_json(indent=2).encode() + b"\n"
    directory.store.replace(f"{directory.key}/{_NAME}", told)
    reasons = "; ".join(f"[{gate.gate}] {gate.message}" for gate in broken)
    remedy = f"Look at {table}"
    if not any(gate.gate in gates.ABSOLUTE for gate in broken):
        accepted = " ".join(f"--accept {gate.gate}" for gate in broken)
        remedy += f", and publish it with `jobs/snapshots.py publish --run {directory.name} {accepted}`"
    return f"{reasons}. Nothing was published. {remedy}"


def table_of(output: str, run_id: str) -> tuple[Location, dict[str, str]] | None:
    """Return the place of a run's refused table, and the gates' messages by name; None if there is none."""
    place = paths.staging_dir(output, run_id)
    try:
        kept = _Refused.model_validate_json(place.store.read(f"{place.key}/{_NAME}", MAX_COMMIT_BYTES))
    except (OSError, ValidationError):
        return None
    return (paths.snapshot_dir(output, kept.snapshot_id), kept.gates) if kept.snapshot_id else None


def publish(output: str, run_id: str, accepted: Sequence[str]) -> Commit:
    """Publish the refused table of a run.

    Args:
        output: root of the output.
        run_id: id of the refused run.
        accepted: names of the gates that a person accepts.

    Raises:
        InputError: the run has no refused table, a gate that refused it is not accepted, or nobody may accept the gate.
        CommitConflictError: another snapshot was published since. Run the job again instead.
    """
    place = paths.staging_dir(output, run_id)
    try:
        kept = _Refused.model_validate_json(place.store.read(f"{place.key}/{_NAME}", MAX_COMMIT_BYTES))
    except (OSError, ValidationError) as error:
        raise InputError(f"Expected a refused run in {place}. Received: {type(error).__name__}") from error
    missing = sorted({*kept.gates} - {*accepted} | {*kept.gates} & {*gates.ABSOLUTE})
    if missing:
        messages = "; ".join(f"[{gate}] {kept.gates[gate]}" for gate in missing)
        raise InputError(
            f"Expected --accept for every gate that refused run {run_id}, and none of {', '.join(gates.ABSOLUTE)}. "
            f"Received: {json.dumps(sorted(accepted))}. Still refused: {messages}"
        )
    parent = snapshot.current(output)
    if (parent.number if parent else None) != kept.parent:
        newest = parent.number if parent else None
        raise InputError(
            f"Expected commit {kept.parent} to be the newest, as when run {run_id} was refused. Received: {newest}. "
            "Run the job again: it uses the results of that run"
        )
    with staging.alive(place):  # `expire` keeps the data of a run that is alive
        snapshot_id, files = _table(place, kept)
        commit = snapshot.publish(
            *(output, snapshot_id, files, kept.model_version), expected_rows=kept.rows, parent=parent
        )
    staging.remove(place)
    return commit


def _table(place: Location, kept: _Refused) -> tuple[str, tuple[DataFile, ...]]:
    """Return the id and the files of a refused table. A table that release 0.1 kept in staging is copied first."""
    run_id = place.name
    if kept.tags is None:
        if kept.snapshot_id != run_id and not str(kept.snapshot_id).startswith(f"{run_id}-"):
            raise InputError(f"Expected a table of run {run_id} in {place / _NAME}. Received: {kept.snapshot_id}")
        return str(kept.snapshot_id), kept.files
    target, store = paths.snapshot_dir(place.output, paths.attempt_id(run_id, "accepted")), place.store
    for name, file in data_files.listed(place / kept.tags).items():
        store.create(f"{target.key}/{name}", store.read(file.key, file.size))
    return target.name, data_files.described(target)
