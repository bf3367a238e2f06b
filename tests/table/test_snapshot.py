"""Publishing: the layout, what every reader sees of it, and what is refused."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import CommitConflictError, ConfigError, SnapshotError
from fashion_udf.table import data_files, paths, snapshot, stores
from fashion_udf.table.store import Store
from tests.tables import publish, written


def test_a_published_table_has_the_documented_layout(tmp_path: Path) -> None:
    commit = publish(tmp_path, ["1", "2"], ["3"], run_id="run-1")
    files = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "tags").rglob("*") if not path.is_dir())
    assert files == [
        "tags/current.sql",
        "tags/data/run-1/run-1-part-00000.parquet",
        "tags/data/run-1/run-1-part-00001.parquet",
        "tags/log/00000001.json",
    ]
    assert os.readlink(tmp_path / "tags/current") == "data/run-1"
    assert (commit.number, commit.parent, commit.snapshot_id, commit.rows) == (1, None, "run-1", 3)
    assert [(file.name, file.rows) for file in commit.files] == [
        ("run-1-part-00000.parquet", 2),
        ("run-1-part-00001.parquet", 1),
    ]
    assert snapshot.current(str(tmp_path)) == commit
    snapshot.verify(str(tmp_path), commit)


def test_the_next_commit_keeps_the_one_before(tmp_path: Path) -> None:
    first = publish(tmp_path, ["1"])
    second = publish(tmp_path, ["1", "2"])
    assert (second.number, second.parent) == (2, 1)
    assert snapshot.read_log(str(tmp_path)) == [first, second]
    snapshot.verify(str(tmp_path), first)
    assert (tmp_path / "tags/current").resolve() == paths.data_dir(str(tmp_path), second)


def test_nothing_is_published_where_nothing_was(tmp_path: Path) -> None:
    assert snapshot.current(str(tmp_path / "absent")) is None
    assert snapshot.read_log(str(tmp_path / "absent")) == []
    assert snapshot.repair_pointer(str(tmp_path / "absent")) is None
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("name", ["plain", "a b", "it's", "a[1]*?", "env=prod", "{a,b}", "ü#%20"])
def test_every_reader_sees_the_committed_files_and_no_other(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    publish(output, ["stale"])
    commit = publish(output, ["1", "2"], [], ["3"])
    directory = paths.data_dir(str(output), commit)
    assert sorted(path.name for path in directory.glob("*.parquet")) == [file.name for file in commit.files]
    assert sorted(os.listdir(directory)) == [file.name for file in commit.files]
    assert pq.read_table(directory)["product_id"].to_pylist() == ["1", "2", "3"]
    assert pd.read_parquet(directory)["product_id"].tolist() == ["1", "2", "3"]
    with duckdb.connect() as connection:
        connection.execute((output / "tags/current.sql").read_text())
        result = connection.execute("SELECT * FROM tags ORDER BY product_id")
        assert [column[0] for column in result.description] == ["product_id"]
        assert result.fetchall() == [("1",), ("2",), ("3",)]


def test_the_view_is_a_statement_anyone_can_copy() -> None:
    assert snapshot.view_sql(Path("/it's/[x]")) == (
        "CREATE OR REPLACE VIEW tags AS SELECT * FROM "
        "read_parquet('/it''s/[[]x]/*.parquet', hive_partitioning = false);\n"
    )


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    commit = publish(tmp_path, [])
    assert commit.rows == 0
    assert pq.read_table(paths.data_dir(str(tmp_path), commit)).column_names == ["product_id"]


def test_a_file_uri_names_the_same_table(tmp_path: Path) -> None:
    commit = publish(tmp_path, ["1"])
    assert snapshot.current(f"file://{tmp_path}") == commit


@pytest.mark.parametrize("output", ["hdfs:", "hdfs://", "gs:x", "s3:/bucket"])
def test_a_uri_without_a_place_is_refused_before_anything_is_read(output: str) -> None:
    with pytest.raises(ConfigError, match=rf"Expected output\.path as scheme://place/path\. Received: '{output}'"):
        snapshot.current(output)


# ---- run ids


def test_run_ids_are_unique_within_one_second_and_sort_by_time() -> None:
    ids = [paths.new_run_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"\d{8}T\d{12}Z-[0-9a-f]{8}", run_id) for run_id in ids)
    assert [run_id[:22] for run_id in ids] == sorted(run_id[:22] for run_id in ids)


def test_the_run_is_known_by_everything_it_publishes() -> None:
    run_id = paths.new_run_id()
    ids = [run_id, paths.attempt_id(run_id, "2"), paths.attempt_id(run_id, "accepted")]
    assert [paths.run_of(published) for published in ids] == [run_id] * 3


def test_a_run_has_its_own_directories() -> None:
    assert str(paths.staging_dir("/out", "run-1")) == "/out/staging/run-1"
    assert str(paths.run_dir("file:///out", "run-1")) == "/out/runs/run-1"
    assert str(paths.run_dir("s3://bucket/out/", "run-1")) == "s3://bucket/out/runs/run-1"


@pytest.mark.parametrize(
    ("output", "uri"),
    [
        ("/out", "file:///out/staging/r"),
        ("file:/out/%20", "file:///out/%20/staging/r"),
        ("s3://bucket/out/", "s3a://bucket/out/staging/r"),
        ("s3a://bucket", "s3a://bucket/staging/r"),
        ("hdfs://host:9000/out", "hdfs://host:9000/out/staging/r"),
    ],
)
def test_what_spark_is_given_has_its_scheme(output: str, uri: str) -> None:
    assert paths.staging_dir(output, "r").uri == uri


@pytest.mark.parametrize("directory", [paths.staging_dir, paths.run_dir])
def test_a_run_id_cannot_climb_out(directory: Callable[[str, str], Path]) -> None:
    with pytest.raises(SnapshotError, match=r"Expected run_id of .* Received: '\.\./x'"):
        directory("/out", "../x")


# ---- refusals


def test_commit_refuses_when_rows_are_missing(tmp_path: Path) -> None:
    before = publish(tmp_path, ["old"])
    files = written(tmp_path, ["1", "2"], ["3"], name="r")
    with pytest.raises(SnapshotError, match=r"Expected 4 rows in .*/data/r\. Received: 3 rows in 2 files. Nothing was"):
        snapshot.publish(str(tmp_path), "r", files, "v1", expected_rows=4, parent=before)
    assert snapshot.current(str(tmp_path)) == before
    assert len(list((tmp_path / "tags/data/r").glob("*.parquet"))) == 2, "what was written stays for inspection"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-7]), r"r-part-00000\.parquet: [0-9]+ bytes, not [0-9]+"),
        (lambda path: path.write_bytes(b""), r"r-part-00000\.parquet: 0 bytes, not [0-9]+"),
        (os.unlink, r"r-part-00000\.parquet: missing, or not a plain file"),
        (lambda path: shutil.rmtree(path.parent), r"r-part-00000\.parquet: missing, or not a plain file"),
        (lambda path: (path.parent / "x.parquet").touch(), r"x\.parquet: not in the commit"),
    ],
)
def test_files_that_are_not_as_described_are_not_published(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    files = written(tmp_path, ["1"], name="r")
    damage(tmp_path / "tags/data/r/r-part-00000.parquet")
    with pytest.raises(SnapshotError, match=message):
        snapshot.publish(str(tmp_path), "r", files, "v1", expected_rows=1, parent=None)
    assert snapshot.current(str(tmp_path)) is None


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 10])
def test_what_is_no_parquet_file_is_not_described(data: bytes) -> None:
    with pytest.raises(SnapshotError, match=r"Expected a Parquet file\. Received: part-0\.parquet \("):
        data_files.describe("part-0.parquet", io.BytesIO(data))


def test_a_table_without_a_file_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"Expected at least one \.parquet file in .*data/r\. Received: none"):
        snapshot.publish(str(tmp_path), "r", (), "v1", expected_rows=0, parent=None)


def test_what_spark_leaves_beside_its_files_is_no_part_of_a_table(tmp_path: Path) -> None:
    files = written(tmp_path, ["1"], name="r")
    (tmp_path / "tags/data/r/_temporary/0").mkdir(parents=True)
    (tmp_path / "tags/data/r/_temporary/0/part-1.parquet").touch()
    assert data_files.described(paths.snapshot_dir(str(tmp_path), "r")) == files
    commit = snapshot.publish(str(tmp_path), "r", files, "v1", expected_rows=1, parent=None)
    snapshot.verify(str(tmp_path), commit)


def test_a_moved_parent_is_a_conflict(tmp_path: Path) -> None:
    parent = publish(tmp_path, ["old"])
    publish(tmp_path, ["backfilled"], run_id="backfill")
    files = written(tmp_path, ["new"], name="r")
    with pytest.raises(
        CommitConflictError, match="publish commit 2 .* Received: commit 2 of run backfill as the newest"
    ):
        snapshot.publish(str(tmp_path), "r", files, "v1", expected_rows=1, parent=parent)


def test_a_log_that_lost_its_end_is_a_conflict(tmp_path: Path) -> None:
    parent = publish(tmp_path, ["old"])
    (tmp_path / "tags/log/00000001.json").unlink()
    with pytest.raises(CommitConflictError, match="publish commit 2 .* Received: an empty log"):
        snapshot.publish(str(tmp_path), "r", written(tmp_path, ["1"], name="r"), "v", expected_rows=1, parent=parent)


def test_publishing_again_finds_the_own_commit(tmp_path: Path) -> None:
    commit = publish(tmp_path, ["1"], run_id="run-1")
    publish(tmp_path, ["2"], run_id="run-2")
    again = snapshot.publish(str(tmp_path), "run-1", (), "v1", expected_rows=1, parent=None)
    assert again == commit
    assert os.readlink(tmp_path / "tags/current") == "data/run-2"


def test_current_follows_the_log_after_a_slow_run_wrote_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run publishes between this run's commit and its replace_pointer: the link must not go back in time."""
    publish(tmp_path, ["1"], run_id="run-1")
    local, others = stores.STORES[""], ["run-2"]

    def interrupted(output: str) -> Store:
        plain = local(output)

        def replace_pointer(prefix: str, target: str, sql: bytes) -> None:
            if others:
                publish(tmp_path, ["2"], run_id=others.pop())
            plain.replace_pointer(prefix, target, sql)

        return dataclasses.replace(plain, replace_pointer=replace_pointer)

    monkeypatch.setitem(stores.STORES, "", interrupted)
    snapshot.repair_pointer(str(tmp_path))
    assert os.readlink(tmp_path / "tags/current") == "data/run-2"
    assert "run-2" in (tmp_path / "tags/current.sql").read_text()
