"""What changed between two snapshots: every count against one made by hand, and against a plain loop over rows."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_udf.errors import SnapshotError
from fashion_udf.schema import TAGS
from fashion_udf.table import diff, paths, snapshot
from fashion_udf.table.commit import Commit
from fashion_udf.table.diff import Confidence, Diff
from tests import tables
from tests.tables import publish_staged

_COLUMNS = ("product_id", "category", "confidence", "status", "reason", "model_version", "run_id")


def _publish(output: Path, rows: list[dict[str, Any]], columns: tuple[str, ...] = _COLUMNS, files: int = 2) -> Commit:
    run_id = paths.new_run_id()
    staged = output / "staging" / run_id
    staged.mkdir(parents=True)
    for index in range(files):
        part = [{name: row.get(name) for name in columns} for row in rows[index::files]]
        schema = pa.schema([TAGS.field(name).with_nullable(True) for name in columns])
        pq.write_table(pa.Table.from_pylist(part, schema), staged / f"part-{index}.parquet")
    head = snapshot.current(str(output))
    return publish_staged(output, staged, run_id, "v1", expected_rows=len(rows), parent=head)


def _row(product_id: str, category: str | None, confidence: float | None, **more: str) -> dict[str, Any]:
    defaults = {"status": "ok", "reason": "new", "model_version": "m1", "run_id": "r1"}
    return {"product_id": product_id, "category": category, "confidence": confidence, **defaults, **more}


BEFORE = [
    _row("carried", "Dress", 0.5),
    _row("gone", "Dress", 0.5),
    _row("rose", "Dress", 0.5),
    _row("moved", "Dress", 0.75),
    _row("moved too", "Dress", 0.75),
    _row("lost", "Shirt", 0.5),
    _row("found", None, None, status="image_corrupt"),
]
AFTER = [
    _row("added", "Hat", 0.5, run_id="r2"),
    _row("found", "Hat", 0.25, run_id="r2", reason="retry", model_version="m2"),
    _row("lost", None, None, run_id="r2", reason="image", status="image_corrupt", model_version="m2"),
    _row("moved too", "Shirt", 0.25, run_id="r2", reason="text", model_version="m2"),
    _row("moved", "Shirt", 0.25, run_id="r2", reason="text", model_version="m2"),
    _row("rose", "Dress", 0.75, run_id="r2", reason="forced", model_version="m2"),
    _row("carried", "Dress", 0.5),
]


@pytest.fixture
def both(tmp_path: Path) -> tuple[Commit, Commit]:
    return _publish(tmp_path, BEFORE), _publish(tmp_path, AFTER, files=3)


def test_every_kind_of_change_is_counted(tmp_path: Path, both: tuple[Commit, Commit]) -> None:
    assert diff.diff(str(tmp_path), *both) == Diff(
        before=1,
        after=2,
        rows_before=7,
        rows_after=7,
        added=1,
        gone=1,
        categories=[("Dress", "Shirt", 2), (None, "Hat", 1), ("Shirt", None, 1)],
        statuses=[("image_corrupt", "ok", 1), ("ok", "image_corrupt", 1)],
        confidence=Confidence(rows=4, mean_before=0.625, mean_after=0.4375, rose=1, fell=2),
        scored=[("text", 2), ("forced", 1), ("image", 1), ("retry", 1)],
        models=[("m2", 0, 5), ("m1", 7, 2)],
        examples={
            "added": [("added",)],
            "gone": [("gone",)],
            "category": [
                ("moved too", "Dress", "Shirt"),
                ("found", None, "Hat"),
                ("moved", "Dress", "Shirt"),
                ("lost", "Shirt", None),
            ],
        },
    )


def test_the_other_way_round_is_the_opposite(tmp_path: Path, both: tuple[Commit, Commit]) -> None:
    there, back = diff.diff(str(tmp_path), *both), diff.diff(str(tmp_path), *both[::-1])
    assert (there.added, there.gone, there.confidence.rose) == (back.gone, back.added, back.confidence.fell)
    assert sorted(map(str, there.categories)) == sorted(str((b, a, n)) for a, b, n in back.categories)


def test_a_snapshot_does_not_differ_from_itself(tmp_path: Path, both: tuple[Commit, Commit]) -> None:
    same = diff.diff(str(tmp_path), both[0], both[0])
    assert (same.added, same.gone, same.categories, same.statuses, same.scored) == (0, 0, [], [], [])
    assert same.examples == {"added": [], "gone": [], "category": []}


def test_no_more_examples_are_named_than_asked_for(tmp_path: Path, both: tuple[Commit, Commit]) -> None:
    examples = diff.diff(str(tmp_path), *both, examples=1).examples
    assert {kind: len(rows) for kind, rows in examples.items()} == {"added": 1, "gone": 1, "category": 1}
    assert diff.diff(str(tmp_path), *both, examples=0).examples["category"] == []


def test_a_column_that_an_older_snapshot_lacks_counts_as_null(tmp_path: Path) -> None:
    """T1.21."""
    old = _publish(tmp_path, BEFORE, ("product_id", "category"))
    changes = diff.diff(str(tmp_path), old, _publish(tmp_path, BEFORE))
    assert changes.categories == []
    assert changes.confidence == Confidence(0, None, None, 0, 0)
    assert changes.statuses == [(None, "ok", 6), (None, "image_corrupt", 1)]
    assert changes.models == [("m1", 0, 7), (None, 7, 0)]
    assert "null" in diff.text(changes)


def test_a_confidence_that_is_not_a_number_is_not_compared(tmp_path: Path) -> None:
    before = _publish(tmp_path, [_row("1", "a", float("nan")), _row("2", "a", 0.5), _row("3", "a", None)])
    after = _publish(tmp_path, [_row("1", "a", 0.5), _row("2", "a", 0.25), _row("3", "a", 0.5)])
    expected = Confidence(rows=1, mean_before=0.5, mean_after=0.25, rose=0, fell=1)
    assert diff.diff(str(tmp_path), before, after).confidence == expected


@pytest.mark.parametrize(("first", "second"), [([], []), ([], AFTER), (BEFORE, [])])
def test_an_empty_snapshot_is_compared_too(
    tmp_path: Path, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    changes = diff.diff(str(tmp_path), _publish(tmp_path, first), _publish(tmp_path, second))
    assert (changes.added, changes.gone) == (len(second), len(first))
    assert diff.text(changes).startswith("commit")


def test_embeddings_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**_row("1", "a", 0.5), "embedding": [0.0] * 256}]
    commit = _publish(tmp_path, rows, (*_COLUMNS, "embedding"), files=1)
    read, asked = pq.ParquetFile.read, set[str]()

    def recorded(self: pq.ParquetFile, columns: list[str]) -> pa.Table:
        asked.update(columns)
        return read(self, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read", recorded)
    diff.diff(str(tmp_path), commit, commit)
    assert asked == set(_COLUMNS)


@pytest.mark.parametrize("damage", [os.unlink, lambda path: os.truncate(path, 8)])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, both: tuple[Commit, Commit], damage: Any) -> None:
    path = paths.data_dir(str(tmp_path), both[0]) / both[0].files[1].name
    damage(path)
    with pytest.raises(SnapshotError, match=f"Expected a Parquet file of tags. Received: {path}"):
        diff.diff(str(tmp_path), *both)


def test_a_file_without_product_ids_has_none_to_match(tmp_path: Path) -> None:
    commit, plain = _publish(tmp_path, BEFORE), _publish(tmp_path, [{"category": "a"}], ("category",), files=1)
    assert diff.diff(str(tmp_path), commit, plain).gone == 7


def test_the_text_shows_every_table(tmp_path: Path, both: tuple[Commit, Commit]) -> None:
    lines = diff.text(diff.diff(str(tmp_path), *both)).splitlines()
    assert lines[0].split() == ["commit", "1", "2"] and "rows                 7      7" in lines
    for line in (
        "category changed     4  66.7 %",
        "gone                 1",
        "Dress          Shirt     2  50.0 %",
        "scored again         5  83.3 %",
    ):
        assert line in lines
    assert "text                     2" in lines and "m2               0           5" in lines


def test_pairs_beyond_those_shown_are_counted(tmp_path: Path, both: tuple[Commit, Commit]) -> None:
    changes = diff.diff(str(tmp_path), *both)
    many = dataclasses.replace(changes, categories=[(f"a{n}", "b", 1) for n in range(25)])
    assert "a19            b" in diff.text(many) and "a20" not in diff.text(many)
    assert "and 5 other pairs" in diff.text(many)


_ROWS = st.dictionaries(
    st.sampled_from([f"p{n}" for n in range(8)]),
    st.tuples(
        st.sampled_from([None, "a", "b", "c"]),
        st.sampled_from([None, 0.25, 0.5, 0.75]),
        st.sampled_from(["ok", "image_corrupt"]),
        st.sampled_from(["r1", "r2"]),
    ),
)


@settings(max_examples=60, deadline=None)
@given(old=_ROWS, new=_ROWS)
def test_the_counts_are_those_of_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, old: Any, new: Any) -> None:
    output = tmp_path_factory.mktemp("diff")
    commits = []
    with tables.without_syncs():
        for rows in (old, new):
            listed = [_row(i, c, f, status=s, run_id=r) for i, (c, f, s, r) in rows.items()]
            commits.append(_publish(output, listed))
    changes = diff.diff(str(output), *commits)
    shared = [(old[name], new[name]) for name in old if name in new]
    assert (changes.added, changes.gone) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    for place, counted in ((0, changes.categories), (2, changes.statuses)):
        moved = [(a[place], b[place]) for a, b in shared if a[place] != b[place]]
        assert {(a, b): n for a, b, n in counted} == {pair: moved.count(pair) for pair in moved}
        assert [n for *_, n in counted] == sorted((n for *_, n in counted), reverse=True)
    scored = [(a[1], b[1]) for a, b in shared if a[1] is not None and b[1] is not None]
    assert (changes.confidence.rows, changes.confidence.rose, changes.confidence.fell) == (
        len(scored),
        sum(b > a for a, b in scored),
        sum(b < a for a, b in scored),
    )
    assert sum(n for _, n in changes.scored) == sum(a[3] != b[3] for a, b in shared)
    assert tables.head(output).rows == len(new)
