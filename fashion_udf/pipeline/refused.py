"""A table that the audit refused: kept in staging, to be looked at, and published by a person who accepts it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashion_udf import files
from fashion_udf.errors import InputError
from fashion_udf.pipeline import gates
from fashion_udf.pipeline.gates import Broken
from fashion_udf.table import paths, snapshot
from fashion_udf.table.commit import Commit

_NAME = "candidate.json"


class _Refused(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tags: str = Field(pattern=r"^tags-[0-9]+$")  # a directory beside this file, and no path that leads elsewhere
    model_version: str
    rows: int
    parent: int | None
    gates: dict[str, str]  # name -> message


def keep_refused(
    staging: Path, tags: Path, model_version: str, rows: int, parent: Commit | None, broken: Sequence[Broken]
) -> str:
    """Keep a refused table until a person accepts it.

    Args:
        staging: directory of the run.
        tags: directory of the table, in `staging`.
        model_version: of the bundle.
        rows: number of rows that the table must have.
        parent: commit that the table is made on top of.
        broken: the gates that refuse the table.

    Returns:
        What broke, and how to look at the table and to accept it: the message of a `GateRefusedError`.
    """
    kept = _Refused(
        tags=tags.name,
        model_version=model_version,
        rows=rows,
        parent=parent.number if parent else None,
        gates={gate.gate: gate.message for gate in broken},
    )
    files.replace_file(staging / _NAME, kept.model_dump_json(indent=2).encode() + b"\n")
    reasons = "; ".join(f"[{gate.gate}] {gate.message}" for gate in broken)
    remedy = f"Look at {tags}"
    if not any(gate.gate in gates.ABSOLUTE for gate in broken):
        accepted = " ".join(f"--accept {gate.gate}" for gate in broken)
        remedy += f", and publish it with `jobs/snapshots.py publish --run {staging.name} {accepted}`"
    return f"{reasons}. Nothing was published. {remedy}"


def table_of(output: str, run_id: str) -> tuple[Path, dict[str, str]] | None:
    """Return the directory of a run's refused table, and the message of each gate by name; None if there is none."""
    staging = paths.staging_dir(output, run_id)
    try:
        kept = _Refused.model_validate_json((staging / _NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    return staging / kept.tags, kept.gates


def publish(output: str, run_id: str, accepted: Sequence[str]) -> Commit:
    """Publish the refused table of a run.

    Args:
        output: root of the output.
        run_id: of the refused run.
        accepted: names of the gates that a person accepts.

    Raises:
        InputError: the run has no refused table, a gate that refused it is not accepted, or nobody may accept the gate.
        CommitConflictError: another snapshot was published since: run again instead.
    """
    staging = paths.staging_dir(output, run_id)
    try:
        kept = _Refused.model_validate_json((staging / _NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"Expected a refused run in {staging}. Received: {type(error).__name__}") from error
    missing = sorted({*kept.gates} - {*accepted} | {*kept.gates} & {*gates.ABSOLUTE})
    if missing:
        messages = "; ".join(f"[{gate}] {kept.gates[gate]}" for gate in missing)
        raise InputError(
            f"Expected --accept for every gate that refused run {run_id}, and none of {', '.join(gates.ABSOLUTE)}. "
            f"Received: {json.dumps(sorted(accepted))}; still refused: {messages}"
        )
    parent = snapshot.current(output)
    if (parent.number if parent else None) != kept.parent:
        newest = parent.number if parent else None
        raise InputError(
            f"Expected commit {kept.parent} to be the newest, as when run {run_id} was refused. Received: {newest}. "
            "Run the job again: it uses what that run has scored"
        )
    # The run's own id cannot be reused: its data directory may already exist.
    snapshot_id, tags = paths.attempt_id(run_id, "accepted"), staging / kept.tags
    commit = snapshot.publish(output, tags, snapshot_id, kept.model_version, expected_rows=kept.rows, parent=parent)
    shutil.rmtree(staging, ignore_errors=True)
    return commit
