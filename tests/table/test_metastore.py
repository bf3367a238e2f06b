"""A catalog table that follows the snapshots: who planned before the move, who plans after, and what may go wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql.types import StructType

from fashion_udf.errors import ConfigError
from fashion_udf.schema import TAGS, to_spark
from fashion_udf.table import paths, snapshot
from fashion_udf.table.metastore import point_to, quoted_name, quoted_text
from tests.tables import publish

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def table(spark: SparkSession) -> Iterator[str]:
    spark.sql("CREATE DATABASE IF NOT EXISTS shop")
    yield "shop.tags"
    spark.sql("DROP TABLE IF EXISTS shop.tags")


def _next(output: Path, *ids: str) -> Path:
    return paths.data_dir(str(output), publish(output, list(ids)))


def _ids(spark: SparkSession, table: str) -> list[str]:
    return sorted(row[0] for row in spark.sql(f"SELECT product_id FROM {table}").collect())


def test_the_table_is_made_at_first_use_with_the_schema_of_the_tags(
    spark: SparkSession, table: str, tmp_path: Path
) -> None:
    assert point_to(spark, table, _next(tmp_path, "1", "2"))
    assert _ids(spark, table) == ["1", "2"]
    assert [(f.name, f.dataType) for f in spark.table(table).schema] == [(f.name, f.dataType) for f in to_spark(TAGS)]
    described = {row["col_name"]: row["data_type"] for row in spark.sql(f"DESCRIBE TABLE EXTENDED {table}").collect()}
    assert (described["Type"], described["Provider"]) == ("EXTERNAL", "parquet")


def test_a_query_planned_before_the_move_keeps_the_old_rows(spark: SparkSession, table: str, tmp_path: Path) -> None:
    point_to(spark, table, _next(tmp_path, "old"))
    planned = spark.sql(f"SELECT product_id FROM {table}")
    other = spark.newSession()
    assert _ids(other, table) == ["old"]
    assert point_to(spark, table, _next(tmp_path, "new", "newer"))
    assert [row[0] for row in planned.collect()] == ["old"]
    assert _ids(spark, table) == ["new", "newer"]
    other.sql(f"REFRESH TABLE {table}")
    assert _ids(other, table) == ["new", "newer"]


def test_a_table_of_an_older_release_gets_the_columns_that_it_lacks(
    spark: SparkSession, table: str, tmp_path: Path
) -> None:
    old = StructType([field for field in to_spark(TAGS) if field.name not in ("novelty", "attributes")])
    directory = _next(tmp_path, "old")
    spark.catalog.createTable(table, path=f"file:{directory}", source="parquet", schema=old)
    assert point_to(spark, table, _next(tmp_path, "new"))
    found = spark.sql(f"SELECT product_id, novelty, attributes FROM {table}")
    assert [tuple(row) for row in found.collect()] == [("new", None, None)]
    assert {(f.name, f.dataType) for f in spark.table(table).schema} == {(f.name, f.dataType) for f in to_spark(TAGS)}


def test_dropping_the_table_leaves_the_files(spark: SparkSession, table: str, tmp_path: Path) -> None:
    directory = _next(tmp_path, "1")
    point_to(spark, table, directory)
    spark.sql(f"DROP TABLE {table}")
    assert len(list(directory.glob("*.parquet"))) == 1


@pytest.mark.parametrize("name", ["a b", "it's", "env=prod", "ü#%20", "semi; DROP TABLE shop.tags"])
def test_any_directory_can_be_shown(spark: SparkSession, table: str, tmp_path: Path, name: str) -> None:
    for ids in (["1"], ["2", "3"]):
        assert point_to(spark, table, _next(tmp_path / name, *ids))
        assert _ids(spark, table) == ids


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "{a,b}", "back\\slash"])
def test_a_directory_that_spark_takes_for_a_pattern_is_named(
    spark: SparkSession, table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert not point_to(spark, table, tmp_path / name)
    reason = f"Spark would read file:{tmp_path / name} as a pattern; choose another output.path"
    assert any(reason in message for message in caplog.messages)  # `text` may be JSON, with the backslash escaped
    assert not spark.catalog.tableExists(table)


@pytest.mark.parametrize(
    ("statement", "received"),
    [
        ("CREATE TABLE shop.tags (product_id STRING) USING parquet", "it is MANAGED and parquet"),
        ("CREATE TABLE shop.tags (product_id STRING) USING csv LOCATION '{0}'", "it is EXTERNAL and csv"),
        ("CREATE VIEW shop.tags AS SELECT 1 AS product_id", "it is VIEW and none"),
    ],
)
def test_somebody_elses_table_is_not_moved(
    spark: SparkSession, table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, statement: str, received: str
) -> None:
    (tmp_path / "theirs").mkdir()
    spark.sql(statement.format(tmp_path / "theirs"))
    try:
        assert not point_to(spark, table, _next(tmp_path, "1"))
    finally:
        if statement.startswith("CREATE VIEW"):
            spark.sql("DROP VIEW shop.tags")
    assert "the snapshot is published, but `shop`.`tags` was not moved to it: " + received in caplog.text


def test_a_failing_metastore_is_a_warning_that_says_what_to_run(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = _next(tmp_path, "1")
    with caplog.at_level(logging.WARNING):
        assert not point_to(spark, "nowhere.tags", directory)
    assert "the snapshot is published, but `nowhere`.`tags` stays behind (" in caplog.text
    assert f"run `ALTER TABLE `nowhere`.`tags` SET LOCATION 'file:{directory}'`" in caplog.text
    assert snapshot.current(str(tmp_path)) is not None


def test_a_lost_connection_is_a_warning_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from py4j.protocol import Py4JNetworkError

    class Gone:
        def __getattr__(self, name: str) -> Any:
            raise Py4JNetworkError("Answer from Java side is empty")

    assert not point_to(Gone(), "shop.tags", tmp_path)  # type: ignore[arg-type]
    assert "stays behind (Answer from Java side is empty)" in caplog.text


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("tags", "`tags`"),
        ("shop.tags", "`shop`.`tags`"),
        ("main.shop.tags", "`main`.`shop`.`tags`"),
        ("my-shop.tags", "`my-shop`.`tags`"),
        ("a`; DROP TABLE x; --.tags", "`a``; DROP TABLE x; --`.`tags`"),
    ],
)
def test_a_name_is_quoted_part_by_part(name: str, quoted: str) -> None:
    assert quoted_name(name) == quoted


@pytest.mark.parametrize("name", ["", ".", "shop.", "a.b.c.d", "a\nb", " "])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="Expected publish.table as name, database.name or .* Received: "):
        quoted_name(name)


def test_a_path_is_quoted_whatever_it_holds() -> None:
    assert quoted_text("/it's/a\\b") == r"'/it\'s/a\\b'"
