"""Facts about each commit for `list` and `show`, without opening its data files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fashion_udf import console
from fashion_udf.table import paths, pins, snapshot
from fashion_udf.table.commit import Commit

_COLUMNS = ("number", "kind", "time", "rows", "bytes", "model", "snapshot")
_MODEL_CHARACTERS = 12  # characters of the model version in `list`; `show` prints all


@dataclass(frozen=True)
class Facts:
    """A commit, whether its snapshot is current or has expired, and the notes of its pins."""

    commit: Commit
    directory: str
    current: bool
    expired: bool
    pins: tuple[str, ...]

    @property
    def state(self) -> str:
        """The state as text, such as `current, pinned: before the new model`."""
        words = [word for word, holds in (("current", self.current), ("expired", self.expired)) if holds]
        return ", ".join(words + [f"pinned: {note}" if note else "pinned" for note in self.pins])

    def tree(self) -> dict[str, object]:
        """Return plain values by name, for JSON."""
        commit = self.commit
        return {
            "number": commit.number,
            "kind": "rollback" if commit.is_rollback else "publish",
            "snapshot": commit.snapshot_id,
            "run": commit.run_id,
            "parent": commit.parent,
            "time": commit.time,
            "model": commit.model_version,
            "rows": commit.rows,
            "bytes": commit.size,
            "directory": self.directory,
            "current": self.current,
            "expired": self.expired,
            "pins": list(self.pins),
        }


def facts(output: str, commits: Sequence[Commit], table: str = paths.TAGS) -> list[Facts]:
    """Return the facts of commits of a table.

    Raises:
        SnapshotError: the newest commit, a pin or a tombstone is damaged; the message names the file.
    """
    pinned, expired, newest = pins.pins(output, table), pins.expired(output, table), snapshot.current(output, table)
    head = newest.snapshot_id if newest else None
    return [
        Facts(
            commit,
            str(paths.data_dir(output, commit, table)),
            commit.snapshot_id == head,
            commit.snapshot_id in expired and commit.snapshot_id != head,
            tuple(pin.note for pin in pinned.get(commit.snapshot_id, ())),
        )
        for commit in commits
    ]


def text(listed: Sequence[Facts]) -> str:
    """Return a table of text, one commit a line."""
    trees = ({**fact.tree(), "model": fact.commit.model_version[:_MODEL_CHARACTERS]} for fact in listed)
    rows = [[tree[name] for name in _COLUMNS] for tree in trees]
    return console.table((*_COLUMNS, "state"), [[*row, fact.state] for row, fact in zip(rows, listed, strict=True)])
