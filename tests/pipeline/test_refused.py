"""A refused table: it stays readable, and a person publishes it by naming every gate that refused it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.pipeline import refused
from fashion_udf.pipeline.gates import Broken
from fashion_udf.table import paths, snapshot
from tests.tables import head, publish, written

FLIPS, SHIFT = Broken("flips", "Expected few. Received: many"), Broken("category_shift", "Expected 0. Received: 1")
LEDGER = Broken("ledger", "Expected 2 rows. Received: 1")


def _refuse(output: Path, *broken: Broken, snapshot_id: str = "r9", rows: int = 2) -> Path:
    """Refuse a table of two products of run r9; returns the staging directory."""
    files, table = written(output, ["a", "b"], name=snapshot_id), paths.snapshot_dir(str(output), snapshot_id)
    place = paths.staging_dir(str(output), "r9")
    refused.keep_refused(place, table, files, "v2", rows, snapshot.current(str(output)), broken)
    return output / "staging" / "r9"


def _told(output: Path, *broken: Broken) -> str:
    table = paths.snapshot_dir(str(output), "r9")
    return refused.keep_refused(paths.staging_dir(str(output), "r9"), table, (), "v2", 2, None, broken)


def _edit(staging: Path, **changes: Any) -> None:
    tree = json.loads((staging / "candidate.json").read_text())
    (staging / "candidate.json").write_text(json.dumps({**tree, **changes}))


def test_a_refusal_says_what_broke_where_to_look_and_how_to_accept(tmp_path: Path) -> None:
    expected = (
        "[flips] Expected few. Received: many; [category_shift] Expected 0. Received: 1. Nothing was published. "
        f"Look at {tmp_path}/tags/data/r9, and publish it with "
        "`jobs/snapshots.py publish --run r9 --accept flips --accept category_shift`"
    )
    assert _told(tmp_path, FLIPS, SHIFT) == expected


def test_nobody_is_told_how_to_accept_a_table_that_is_wrong(tmp_path: Path) -> None:
    assert _told(tmp_path, FLIPS, LEDGER).endswith(f"Nothing was published. Look at {tmp_path}/tags/data/r9")


def test_a_refused_table_is_published_when_every_gate_is_accepted(tmp_path: Path) -> None:
    publish(tmp_path, ["old"])
    staging = _refuse(tmp_path, FLIPS, SHIFT)
    assert head(tmp_path).number == 1
    assert pq.read_table(tmp_path / "tags" / "data" / "r9").num_rows == 2, "it can be looked at"
    commit = refused.publish(str(tmp_path), "r9", ["category_shift", "flips", "row_drop"])
    assert commit == head(tmp_path)
    assert (commit.number, commit.rows, commit.model_version) == (2, 2, "v2")
    snapshot.verify(str(tmp_path), commit)
    assert not staging.exists()


def test_the_first_table_may_be_accepted_too(tmp_path: Path) -> None:
    _refuse(tmp_path, FLIPS)
    assert refused.publish(str(tmp_path), "r9", ["flips"]).number == 1


@pytest.mark.parametrize("accepted", [[], ["flips"], ["row_drop"]])
def test_a_gate_that_is_not_accepted_still_refuses(tmp_path: Path, accepted: list[str]) -> None:
    staging = _refuse(tmp_path, FLIPS, SHIFT)
    missing = [gate for gate in (SHIFT, FLIPS) if gate.gate not in accepted]
    told = "; ".join(f"[{gate.gate}] {gate.message}" for gate in missing)
    expected = (
        "Expected --accept for every gate that refused run r9, and none of ledger, embeddings, texts. "
        f"Received: {json.dumps(accepted)}. Still refused: {told}"
    )
    with pytest.raises(InputError, match=f"^{re.escape(expected)}$"):
        refused.publish(str(tmp_path), "r9", accepted)
    assert snapshot.current(str(tmp_path)) is None and staging.exists()


@pytest.mark.parametrize("gate", ["ledger", "embeddings"])
def test_a_table_that_is_wrong_is_never_published(tmp_path: Path, gate: str) -> None:
    _refuse(tmp_path, FLIPS, Broken(gate, "wrong"))
    with pytest.raises(InputError, match=rf"Still refused: \[{gate}\] wrong$"):
        refused.publish(str(tmp_path), "r9", ["flips", gate])
    assert snapshot.current(str(tmp_path)) is None


def test_a_table_made_on_top_of_an_older_one_is_not_published(tmp_path: Path) -> None:
    publish(tmp_path, ["old"])
    staging = _refuse(tmp_path, FLIPS)
    publish(tmp_path, ["newer"])
    expected = (
        "Expected commit 1 to be the newest, as when run r9 was refused. Received: 2. "
        "Run the job again: it uses the results of that run"
    )
    with pytest.raises(InputError, match=f"^{re.escape(expected)}$"):
        refused.publish(str(tmp_path), "r9", ["flips"])
    assert head(tmp_path).number == 2 and staging.exists()


def test_a_first_table_is_not_published_over_another_first_one(tmp_path: Path) -> None:
    _refuse(tmp_path, FLIPS)
    publish(tmp_path, ["faster"])
    with pytest.raises(InputError, match="Expected commit None to be the newest, .*Received: 1"):
        refused.publish(str(tmp_path), "r9", ["flips"])


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"snapshot_id": "r9"}', None])
def test_a_run_without_a_whole_file_of_its_refusal_is_not_published(tmp_path: Path, damage: str | None) -> None:
    staging = _refuse(tmp_path, FLIPS)
    if damage is None:
        (staging / "candidate.json").unlink()
    else:
        (staging / "candidate.json").write_text(damage)
    kind = "FileNotFoundError" if damage is None else "ValidationError"
    with pytest.raises(InputError, match=f"^Expected a refused run in {re.escape(str(staging))}. Received: {kind}$"):
        refused.publish(str(tmp_path), "r9", ["flips"])


@pytest.mark.parametrize("name", ["..", "", "r8", "r9/../r8", "/tmp", "r99"])
def test_a_refused_run_names_no_table_but_its_own(tmp_path: Path, name: str) -> None:
    staging = _refuse(tmp_path, FLIPS)
    written(tmp_path, ["a", "b"], name="r8")
    _edit(staging, snapshot_id=name)
    with pytest.raises((InputError, SnapshotError), match="Expected a table of run r9|Expected snapshot_id"):
        refused.publish(str(tmp_path), "r9", ["flips"])
    assert snapshot.current(str(tmp_path)) is None


@pytest.mark.parametrize("tags", ["..", ".", "", "../r8/tags-0", "/tmp", "results", "tags-0/../..", "tags-0\n"])
def test_a_refused_run_of_release_0_1_names_no_directory_but_a_table_of_its_own(tmp_path: Path, tags: str) -> None:
    staging = _refuse(tmp_path, FLIPS)
    _edit(staging, tags=tags)
    with pytest.raises(InputError, match="Expected a refused run in "):
        refused.publish(str(tmp_path), "r9", ["flips"])
    assert snapshot.current(str(tmp_path)) is None


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    _edit(_refuse(tmp_path, FLIPS), accepted=["flips"])
    with pytest.raises(InputError, match="Expected a refused run in "):
        refused.publish(str(tmp_path), "r9", ["flips"])


@pytest.mark.parametrize("run_id", ["../r9", "", "r9/..", "."])
def test_a_run_is_named_by_its_id(tmp_path: Path, run_id: str) -> None:
    with pytest.raises((InputError, SnapshotError, ValueError), match="run_id"):
        refused.publish(str(tmp_path), run_id, [])


def test_a_run_that_nobody_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected a refused run in .*/staging/r1\. Received: FileNotFoundError"):
        refused.publish(str(tmp_path), "r1", [])


def test_a_refused_table_that_lost_rows_since_is_not_published(tmp_path: Path) -> None:
    _refuse(tmp_path, FLIPS, rows=3)
    with pytest.raises(SnapshotError, match="Expected 3 rows in .*Received: 2 rows in 1 files"):
        refused.publish(str(tmp_path), "r9", ["flips"])
    assert snapshot.current(str(tmp_path)) is None


def test_a_run_that_lost_the_first_race_and_was_refused_after_can_be_accepted(tmp_path: Path) -> None:
    # Its first table was written under its own id before another run's commit won.
    publish(tmp_path, ["winner"])
    (tmp_path / "tags" / "data" / "r9").mkdir()
    _refuse(tmp_path, FLIPS, snapshot_id="r9-1")
    assert refused.publish(str(tmp_path), "r9", ["flips"]).number == 2
