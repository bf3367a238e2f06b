"""A metastore's table through nights and commands: it shows the newest commit, and expire leaves what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.commands import snapshots
from fashion_udf.config import JobConfig
from fashion_udf.errors import GateRefusedError
from fashion_udf.pipeline import tagging
from fashion_udf.pipeline.outcome import Outcome
from fashion_udf.spark import session
from fashion_udf.table import followers, metastore, paths, pins, retention
from fashion_udf.table.tags_table import TagsTable
from tests import small_bundle
from tests.tables import head, publish

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLE = "shop.tags"
#: Whatever is neither current nor pinned goes.
ALL = retention.Policy(older_than=0, keep=1, grace=0)


@pytest.fixture
def shown(spark: SparkSession) -> Iterator[Any]:
    """Return the products that the table shows to somebody who asks now."""
    spark.sql("CREATE DATABASE IF NOT EXISTS shop")

    def ids() -> list[str]:
        spark.sql(f"REFRESH TABLE {TABLE}")
        return sorted(row[0] for row in spark.sql(f"SELECT product_id FROM {TABLE}").collect())

    yield ids
    spark.sql(f"DROP TABLE IF EXISTS {TABLE}")


def _night(spark: SparkSession, folder: Path, *names: str) -> Outcome:
    (folder / "in").mkdir(exist_ok=True)
    pq.write_table(pa.table({"product_id": names, "title": ["Red shirt"] * len(names)}), folder / "in" / "part.parquet")
    tree = {
        "input": {"path": str(folder / "in"), "columns": {"image": None}},
        "output": {"path": str(folder / "out")},
        "bundle": str(small_bundle.directory()),
        "publish": {"table": TABLE},
    }
    return tagging.tag(spark, config.validate(JobConfig, tree, "a night"))


def _command(folder: Path, command: str, *arguments: object) -> None:
    snapshots.main([command, "--output", str(folder / "out"), *map(str, arguments)])


def test_the_table_follows_nights_rollbacks_and_refused_tables_that_a_person_accepts(
    spark: SparkSession, tmp_path: Path, shown: Any
) -> None:
    _night(spark, tmp_path, "a")
    _night(spark, tmp_path, "a", "b")
    assert shown() == ["a", "b"]
    _command(tmp_path, "rollback", "--to", 1)
    assert shown() == ["a"]
    TagsTable(tmp_path / "out").rollback(2, spark)
    assert shown() == ["a", "b"]
    with pytest.raises(GateRefusedError, match="max_row_drop"):
        _night(spark, tmp_path, "b")
    (refused,) = (tmp_path / "out" / "staging").iterdir()
    _command(tmp_path, "publish", "--run", refused.name, "--accept", "row_drop")
    assert shown() == ["b"]


def test_what_the_table_shows_never_expires_and_the_next_run_of_any_kind_mends_it(
    spark: SparkSession, tmp_path: Path, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _night(spark, tmp_path, "a")
    with monkeypatch.context() as patch:
        patch.setattr(metastore, "point_to", lambda *_: False)  # a metastore that does not answer
        _night(spark, tmp_path, "a", "b")
    removed, problems = retention.expire(str(tmp_path / "out"), ALL)
    assert [removal for removal in removed if removal.kind == "snapshot"] == problems == []
    assert shown() == ["a"]
    assert not _night(spark, tmp_path, "a", "b").published
    assert shown() == ["a", "b"]
    retention.expire(str(tmp_path / "out"), ALL)
    assert len([*(tmp_path / "out" / "tags" / "data").iterdir()]) == 1, "nothing shows the first one any more"
    assert shown() == ["a", "b"]


def test_a_snapshot_that_an_older_release_moved_the_table_to_is_pinned_before_a_move_that_fails(
    spark: SparkSession, tmp_path: Path, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path)
    old = publish(tmp_path, ["1"])
    assert metastore.point_to(spark, TABLE, paths.data_dir(output, old))
    pins.pin(output, old)  # a person's pin is not the table's
    publish(tmp_path, ["2"])
    monkeypatch.setattr(metastore, "point_to", lambda *_: False)
    followers.reconcile(output, spark, TABLE)
    assert pins.unpin(output, old) and followers.tables_of(output) == [TABLE]
    retention.expire(output, ALL)
    assert shown() == ["1"]


def test_a_command_that_finds_no_such_table_or_no_spark_says_what_to_run_and_makes_no_table(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1", "2"):
        publish(tmp_path / "out", [name])
    commit = head(tmp_path / "out")
    pins.pin(str(tmp_path / "out"), commit, "shown by nowhere.tags", "table-1", "nowhere.tags")
    _command(tmp_path, "rollback", "--to", 1)
    remedy = (
        f"run `spark-submit jobs/snapshots.py repair --output {tmp_path / 'out'}` with the job's own Spark settings"
    )
    assert f"nowhere.tags stays behind: this session's catalog has no such table: {remedy}" in caplog.text

    def broken(*_: object) -> None:
        raise RuntimeError("no Java")

    monkeypatch.setattr(session, "start", broken)
    _command(tmp_path, "repair")
    assert f"the tables of publish.table stay behind (no Java): {remedy}" in caplog.text
    assert followers.tables_of(str(tmp_path / "out")) == ["nowhere.tags"], "its snapshot stays pinned"


def test_unpin_leaves_what_a_table_shows_unless_a_person_insists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = publish(tmp_path / "out", ["1"], run_id="r1")
    pins.pin(str(tmp_path / "out"), commit)
    pins.pin(str(tmp_path / "out"), commit, "shown by shop.tags", "table-1", "shop.tags")
    _command(tmp_path, "unpin", "--number", 1)
    assert capsys.readouterr().out == (
        "snapshot r1 is no longer pinned, but shop.tags still shows and pins it: --all removes that pin too\n"
    )
    _command(tmp_path, "unpin", "--number", 1, "--all")
    assert capsys.readouterr().out == "snapshot r1 is no longer pinned\n" and not pins.pins(str(tmp_path / "out"))


@pytest.mark.parametrize("name", ["plain", "a b", "ü#%20", "env=prod"])
def test_the_directory_that_a_table_shows_is_known_whatever_its_name(
    spark: SparkSession, shown: Any, tmp_path: Path, name: str
) -> None:
    directory = paths.data_dir(str(tmp_path / name), publish(tmp_path / name, ["1"]))
    assert metastore.shown_directory(spark, TABLE) is None
    assert metastore.point_to(spark, TABLE, directory)
    assert metastore.shown_directory(spark, TABLE) == directory
