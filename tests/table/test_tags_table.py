"""The table for notebooks: any snapshot's rows, its history, and a way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.schema import TAGS
from fashion_udf.table import pins
from fashion_udf.table.tags_table import TagsTable
from tests.tables import head, publish

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_place_without_a_table_has_no_commit_and_says_so(tmp_path: Path) -> None:
    table = TagsTable(tmp_path / "nowhere")
    assert (table.current(), table.history()) == (None, [])
    with pytest.raises(InputError, match="Expected a published tags table in --output. Received: .*nowhere"):
        table.to_pandas()
    assert repr(table) == f"TagsTable('{tmp_path}/nowhere')"


def test_rows_of_the_newest_and_of_an_older_snapshot(tmp_path: Path) -> None:
    publish(tmp_path, ["a"], ["b"])
    publish(tmp_path, ["a", "b", "c"])
    table = TagsTable(str(tmp_path))
    current = table.current()
    assert current is not None and current.number == 2
    assert sorted(table.to_pandas(columns=["product_id"])["product_id"]) == ["a", "b", "c"]
    assert sorted(table.to_pandas(["product_id"], number=1)["product_id"]) == ["a", "b"]
    assert [fact.commit.number for fact in table.history()] == [1, 2]
    with pytest.raises(InputError, match="Expected the number of a commit up to 2. Received: 3"):
        table.directory(3)


def test_a_column_that_an_older_release_did_not_write_is_null(tmp_path: Path) -> None:
    publish(tmp_path, ["a"])
    frame = TagsTable(tmp_path).to_pandas()
    assert frame.columns.tolist() == TAGS.names
    assert frame["previous_category"].tolist() == [None]
    with pytest.raises(KeyError, match="colour"):
        TagsTable(tmp_path).to_pandas(columns=["colour"])


def test_spark_reads_the_same_rows(spark: SparkSession, tmp_path: Path) -> None:
    publish(tmp_path, ["a"], ["b"])
    frame = TagsTable(tmp_path).to_spark(spark)
    assert frame.columns == TAGS.names
    assert sorted(row["product_id"] for row in frame.select("product_id").collect()) == ["a", "b"]


def test_only_files_that_the_commit_names_are_read(tmp_path: Path) -> None:
    publish(tmp_path, ["a"])
    litter = TagsTable(tmp_path).directory() / "litter.parquet"
    pq.write_table(pa.table({"product_id": ["stranger"]}), litter)
    assert TagsTable(tmp_path).to_pandas(["product_id"])["product_id"].tolist() == ["a"]


def test_a_rollback_is_a_new_commit_and_the_difference_is_told(tmp_path: Path) -> None:
    publish(tmp_path, ["a"])
    publish(tmp_path, ["a", "b"])
    table = TagsTable(tmp_path)
    assert table.rollback(1).number == 3
    assert table.to_pandas(["product_id"])["product_id"].tolist() == ["a"]
    changes = table.diff(2, 3)
    assert (changes.rows_before, changes.rows_after) == (2, 1)


def test_an_expired_snapshot_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, ["a"])
    first = head(tmp_path)
    publish(tmp_path, ["b"])
    pins.write_tombstone(str(tmp_path), first, "expiry")
    with pytest.raises(SnapshotError, match="Expected a snapshot that is kept. Received: commit 1"):
        TagsTable(tmp_path).to_pandas(["product_id"], number=1)
