"""What list and show know of commits, without opening a data file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fashion_udf.errors import SnapshotError
from fashion_udf.table import listing, pins, snapshot
from fashion_udf.table.rollback import rollback
from tests.tables import publish


@pytest.fixture
def output(tmp_path: Path) -> str:
    """Commits of snapshots s1, s2, s3, s1 again; s2 is pinned twice, s3 has expired."""
    commits = [publish(tmp_path, ["1"] * number, run_id=f"s{number}") for number in (1, 2, 3)]
    rollback(str(tmp_path), 1)
    pins.pin(str(tmp_path), commits[1], "before the new model")
    pins.pin(str(tmp_path), commits[1], "held by run-9", "run-9")
    pins.write_tombstone(str(tmp_path), commits[2], "expiry")
    shutil.rmtree(tmp_path / "tags/data")
    return str(tmp_path)


def test_each_commit_has_its_state(output: str) -> None:
    listed = listing.facts(output, snapshot.read_log(output))
    assert [fact.state for fact in listed] == [
        "current",
        "pinned: before the new model, pinned: held by run-9",
        "expired",
        "current",
    ]


def test_a_table_fits_a_terminal_and_names_what_matters(output: str) -> None:
    header, _, *lines = listing.text(listing.facts(output, snapshot.read_log(output))).splitlines()
    assert header.split() == ["number", "kind", "time", "rows", "bytes", "model", "snapshot", "state"]
    assert [line.split()[:2] for line in lines] == [
        ["1", "publish"],
        ["2", "publish"],
        ["3", "publish"],
        ["4", "rollback"],
    ]
    assert lines[2].endswith("expired") and all(len(line) < 120 for line in lines if "pinned" not in line)


def test_the_tree_holds_plain_values(output: str) -> None:
    tree = listing.facts(output, snapshot.read_log(output))[3].tree()
    assert {
        name: tree[name] for name in ("number", "kind", "snapshot", "parent", "rows", "current", "expired", "pins")
    } == {
        "number": 4,
        "kind": "rollback",
        "snapshot": "s1",
        "parent": 3,
        "rows": 1,
        "current": True,
        "expired": False,
        "pins": [],
    }
    assert tree["directory"] == f"{output}/tags/data/s1"


def test_the_current_snapshot_is_never_called_expired(output: str) -> None:
    """A killed call of expire leaves a tombstone that the rollback before it did not see."""
    log = snapshot.read_log(output)
    pins.write_tombstone(output, log[0], "killed")
    assert listing.facts(output, log)[0].state == "current"


def test_a_damaged_mark_is_named(output: str) -> None:
    Path(output, "tags/pins/s1.json").mkdir()
    with pytest.raises(SnapshotError, match="Expected a readable tags/pins/s1.json"):
        listing.facts(output, [])
