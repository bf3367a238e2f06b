"""Who reads the lists of similar products sees whole ones, and none of another model than the tags."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.table import commit, data_files, log, paths, retention, snapshot
from fashion_udf.table.retention import Policy
from fashion_udf.table.stores import open_store
from fashion_udf.table.tags_table import TagsTable
from tests import tables
from tests.similar import published

LISTS = {"a": ["b", "c"], "b": ["a"], "c": []}


def tags(output: Path, model_version: str = "m1") -> None:
    run_id = paths.new_run_id()
    files, parent = tables.written(output, ["a", "b", "c"], name=run_id), snapshot.current(str(output))
    snapshot.publish(str(output), run_id, files, model_version, expected_rows=3, parent=parent)


def seen(output: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute((output / "similar" / "current.sql").read_text())
        query = "SELECT product_id, similar_id, position, tags_behind FROM similar_products ORDER BY 1, 3"
        return connection.execute(query).fetchall()


def test_the_table_gives_a_row_for_each_pair_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    tags(tmp_path)
    published.publish(tmp_path, LISTS)
    frame = TagsTable(tmp_path).similar(["c", "b", "a"])
    assert frame[["product_id", "position", "similar_id"]].values.tolist() == [
        ["b", 1, "a"],
        ["a", 1, "b"],
        ["a", 2, "c"],
    ]
    assert frame.attrs["tags_behind"] == 0 and len(TagsTable(tmp_path).similar()) == 3
    assert TagsTable(tmp_path).similar([]).empty
    with pytest.raises(InputError, match="Expected products with a list. Received: 'x', which have none"):
        TagsTable(tmp_path).similar(["a", "x"])


def test_nobody_sees_lists_of_another_model_than_the_tags(tmp_path: Path) -> None:
    tags(tmp_path)
    with pytest.raises(InputError, match="Expected lists of similar products in .* Run `fashion-udf recommend`"):
        TagsTable(tmp_path).similar()
    published.publish(tmp_path, LISTS)
    tags(tmp_path)
    assert seen(tmp_path) == [("a", "b", 1, 1), ("a", "c", 2, 1), ("b", "a", 1, 1)]
    assert TagsTable(tmp_path).similar().attrs["tags_behind"] == 1
    tags(tmp_path, "m2")
    assert seen(tmp_path) == []
    with pytest.raises(InputError, match="of the current tags' model, m2. Received: m1. Run"):
        TagsTable(tmp_path).similar()


def test_a_kill_at_any_step_leaves_the_old_lists_or_the_new_ones(tmp_path: Path) -> None:
    found: set[str] = set()
    for step in range(1, 1000):
        output = tmp_path / str(step)
        tags(output)
        old = published.publish(output, LISTS, run_id="old")
        files = published.write(output, {"a": ["c"]}, "new")
        alive = tables.survives(
            lambda output=output, files=files: published.commit_written(output, files, "new", 1), tables.CALLS, step
        )
        head = snapshot.newest(str(output), paths.SIMILAR)
        for each in (old, head):
            data_files.verify(str(output), each, paths.SIMILAR)
        found.add(head.run_id)
        assert len(TagsTable(output).similar()) == (3 if head.run_id == "old" else 1)
        assert len(seen(output)) in ((3,) if head.run_id == "old" else (3, 1))
        assert published.publish(output, {"b": ["a"]}).number == head.number + 1
        shutil.rmtree(output)
        if alive:
            break
    assert alive and step > 20 and found == {"old", "new"}


def test_a_commit_of_lists_says_what_they_were_made_from_and_one_of_tags_is_as_it_was(tmp_path: Path) -> None:
    tags(tmp_path)
    made = published.publish(tmp_path, LISTS)
    assert log.read(open_store(str(tmp_path)), 1, paths.SIMILAR) == made and made.made_from == commit.MadeFrom(
        1, "0" * 64
    )
    of_tags = snapshot.newest(str(tmp_path))
    assert of_tags.made_from is None and b"made_from" not in of_tags.to_json()
    for wrong in (commit.MadeFrom(0, "0" * 64), commit.MadeFrom(1, "x")):
        with pytest.raises(SnapshotError, match="made_from"):
            commit.Commit(1, "a", None, made.time, "a", "m1", (), wrong).to_json()


def test_expire_removes_old_lists_and_keeps_the_current_ones(tmp_path: Path) -> None:
    tags(tmp_path)
    old = published.publish(tmp_path, LISTS)
    new = published.publish(tmp_path, {"a": ["c"]})
    removed, problems = retention.expire(str(tmp_path), Policy(older_than=0, keep=1, grace=0))
    assert not problems and [each.path.name for each in removed if each.table == paths.SIMILAR] == [old.snapshot_id]
    data_files.verify(str(tmp_path), new, paths.SIMILAR)
    data_files.verify(str(tmp_path), snapshot.newest(str(tmp_path)))
