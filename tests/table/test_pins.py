"""Pins and tombstones: who sees the other's gives way, and a strange one stops everything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_udf import files
from fashion_udf.errors import CommitUnknownError, InputError, SnapshotError
from fashion_udf.table import pins, retention
from fashion_udf.table.commit import Commit
from tests.tables import publish


@pytest.fixture
def first(tmp_path: Path) -> Commit:
    """The older of two commits, `one` and `two`."""
    commit = publish(tmp_path, ["1"], run_id="one")
    publish(tmp_path, ["2"], run_id="two")
    return commit


def test_a_pin_is_a_file_that_says_why(tmp_path: Path, first: Commit) -> None:
    assert pins.pin(str(tmp_path), first, "before the new model")
    assert os.listdir(tmp_path / "tags/pins") == ["one.json"]
    assert pins.pins(str(tmp_path)) == {"one": [pins.Pin("one.json", "before the new model")]}


def test_a_second_pin_changes_nothing(tmp_path: Path, first: Commit) -> None:
    pins.pin(str(tmp_path), first, "mine")
    assert not pins.pin(str(tmp_path), first, "yours")
    assert pins.pins(str(tmp_path))["one"][0].note == "mine"


def test_unpin_removes_every_pin_of_the_snapshot_and_no_other(tmp_path: Path, first: Commit) -> None:
    second = publish(tmp_path, ["3"], run_id="three")
    for commit, holder in ((first, None), (first, "dead-run"), (second, None)):
        pins.pin(str(tmp_path), commit, holder=holder)
    assert pins.unpin(str(tmp_path), first) == ["one.dead-run.json", "one.json"]
    assert pins.unpin(str(tmp_path), first) == []
    assert list(pins.pins(str(tmp_path))) == ["three"]


@pytest.mark.parametrize("note", ["x" * 201, "two\nlines", "\x1b[31m"])
def test_a_note_that_would_break_a_line_is_refused(tmp_path: Path, first: Commit, note: str) -> None:
    with pytest.raises(InputError, match="Expected a note of at most 200 printable characters. Received: "):
        pins.pin(str(tmp_path), first, note)


def test_a_snapshot_that_has_expired_is_not_pinned(tmp_path: Path, first: Commit) -> None:
    pins.write_tombstone(str(tmp_path), first, "expiry")
    assert pins.expired(str(tmp_path)) == {"one"}
    with pytest.raises(SnapshotError, match="Received: commit 1, whose snapshot one has expired. .*list. shows the"):
        pins.pin(str(tmp_path), first)
    assert pins.pins(str(tmp_path)) == {}


def test_a_tombstone_written_while_the_pin_is_written_takes_the_pin_back(
    tmp_path: Path, first: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = pins._create

    def overtaken(output: str, key: str, tree: dict[str, object]) -> bool:
        if key.startswith("tags/pins"):
            pins.write_tombstone(output, first, "expiry")
        return create(output, key, tree)

    monkeypatch.setattr(pins, "_create", overtaken)
    with pytest.raises(SnapshotError, match="snapshot one has expired"):
        pins.pin(str(tmp_path), first)
    assert pins.pins(str(tmp_path)) == {}


def test_each_call_of_expire_takes_back_its_own_tombstone_only(tmp_path: Path, first: Commit) -> None:
    pins.write_tombstone(str(tmp_path), first, "a")
    pins.write_tombstone(str(tmp_path), first, "b")
    pins.remove_tombstone(str(tmp_path), first, "a")
    assert pins.expired(str(tmp_path)) == {"one"}
    with pytest.raises(SnapshotError, match=r"create tags/expired/one\.b\.json\. Received: an existing file. Nothing"):
        pins.write_tombstone(str(tmp_path), first, "b")
    pins.remove_tombstone(str(tmp_path), first, "b")
    assert pins.expired(str(tmp_path)) == set()


# ---- held while a run works


def test_a_snapshot_is_pinned_while_it_is_held(tmp_path: Path, first: Commit) -> None:
    with pins.held(str(tmp_path), first, "run-9"):
        assert pins.pins(str(tmp_path)) == {"one": [pins.Pin("one.run-9.json", "held by run-9")]}
    assert pins.pins(str(tmp_path)) == {}


@pytest.mark.parametrize(("error", "left"), [(SnapshotError, []), (CommitUnknownError, ["one"])])
def test_the_pin_stays_when_nobody_knows_how_it_ended(
    tmp_path: Path, first: Commit, error: type[Exception], left: list[str]
) -> None:
    with pytest.raises(error), pins.held(str(tmp_path), first, "run-9"):
        raise error
    assert list(pins.pins(str(tmp_path))) == left


def test_a_pin_that_cannot_be_removed_does_not_hide_the_outcome(
    tmp_path: Path, first: Commit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(path: Path) -> None:
        raise OSError(5, "Input/output error")

    with pins.held(str(tmp_path), first, "run-9"):
        monkeypatch.setattr(files, "sync", broken)
    assert "snapshot one stays pinned: Expected to remove tags/pins/one.run-9.json. Received: [Errno 5]" in caplog.text


# ---- what strangers left there


def _huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 30)


def _link(path: Path) -> None:
    (path.parents[2] / "secret").write_text("secret")
    path.symlink_to(path.parents[2] / "secret")


HOSTILE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a link": ("one.json", _link, "Expected a readable .*one.json. Received: .*symbolic links"),
    "a directory": ("one.json", os.mkdir, "Expected a readable .*one.json. Received: .*not a regular file"),
    "a pipe": ("one.json", os.mkfifo, "Expected a readable .*one.json. Received: .*not a regular file"),
    "a huge file": ("one.json", _huge, "Expected at most 4096 bytes in format 1 in .*one.json. Received: b'"),
    "an empty file": ("one.json", Path.touch, "Expected a readable .*one.json. Received: Expecting value"),
    "a list": ("one.json", lambda p: p.write_text("[]"), r"in format 1 in .*one.json. Received: b'\[\]'"),
    "deep nesting": ("one.json", lambda p: p.write_text("[" * 4000), "Expected a readable .*one.json"),
    "bytes": ("one.json", lambda p: p.write_bytes(b"\xff\xfe\xff"), "Expected a readable .*one.json"),
    "no note": ("one.json", lambda p: p.write_text('{"format": 1}'), "in format 1 in .*one.json"),
    "a newer format": ("one.json", lambda p: p.write_text('{"format": 2, "note": ""}'), "in format 1 in .*one.json"),
    "another suffix": ("one.txt", Path.touch, "Expected only names such as .* Received: 'one.txt'"),
    "too many parts": ("a.b.c.json", Path.touch, "Expected only names such as .* Received: 'a.b.c.json'"),
    "a glob": ("*.json", Path.touch, r"Expected tags/.*/\*\.json to hold an id of 1 to 80"),
}


@pytest.mark.parametrize("directory", ["pins", "expired"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_strange_mark_is_named_and_nothing_is_removed(
    tmp_path: Path, first: Commit, directory: str, case: str
) -> None:
    name, plant, message = HOSTILE[case]
    (tmp_path / "tags" / directory).mkdir()
    plant(tmp_path / "tags" / directory / name)
    with pytest.raises(SnapshotError, match=message):
        pins.pins(str(tmp_path)) if directory == "pins" else pins.expired(str(tmp_path))
    with pytest.raises(SnapshotError, match=message):
        retention.expire(str(tmp_path), retention.Policy(0, 1, 0), now=1e12)
    assert (tmp_path / "tags/data/one/one-part-00000.parquet").exists()


def test_a_name_that_begins_with_a_dot_is_an_unfinished_mark(tmp_path: Path, first: Commit) -> None:
    (tmp_path / "tags/pins").mkdir()
    (tmp_path / "tags/pins/.one.json.0badcafe.tmp").touch()
    (tmp_path / "tags/pins/...json").touch()
    assert pins.pins(str(tmp_path)) == {}


@pytest.mark.parametrize("directory", ["pins", "expired"])
def test_marks_are_not_looked_for_behind_a_link(tmp_path: Path, first: Commit, directory: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tags" / directory).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SnapshotError, match=f"Expected a readable tags/{directory}. Received: .*a link, which"):
        pins.pin(str(tmp_path), first) if directory == "expired" else pins.unpin(str(tmp_path), first)
    assert os.listdir(tmp_path / "elsewhere") == []
