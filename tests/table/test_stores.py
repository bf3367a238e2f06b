"""The contract of a store, kept by every one of them: local files, memory, S3, and Hadoop's file systems."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.s3 import S3Settings
from fashion_udf.table import hadoop_store, s3_store
from fashion_udf.table.memory_store import MemoryStore
from fashion_udf.table.store import Store
from fashion_udf.table.stores import open_store
from tests.servers.hadoop import Hdfs, hadoop_process, hdfs
from tests.servers.s3 import S3Server

__all__ = ["hadoop_process", "hdfs"]

_FOLDERS = itertools.count(1)
KINDS = ("local", "memory", "s3", "hadoop", "hdfs")
#: Hadoop's own file system on local files lets several writers of one name win, so `local_store` is there for those.
ONE_WINNER = ("local", "memory", "s3", "hdfs")


def _opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    if kind == "memory":
        return MemoryStore()("")
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        s3_store.use(server.settings)
        return open_store(f"s3://{server.bucket('stores')}/{next(_FOLDERS)}/out")
    if kind in ("hadoop", "hdfs"):
        request.getfixturevalue("spark")  # its JVM, which has the jars of the tests
    if kind == "hdfs":
        cluster: Hdfs = request.getfixturevalue("hdfs")
        return open_store(cluster.new_folder())
    return hadoop_store.open_hadoop(folder.as_uri()) if kind == "hadoop" else open_store(str(folder))


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield _opened(request.param, request, tmp_path)
    s3_store.use(S3Settings())


@pytest.fixture(params=ONE_WINNER)
def deciding(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield _opened(request.param, request, tmp_path)
    s3_store.use(S3Settings())


def test_what_was_created_is_listed_and_read(store: Store) -> None:
    assert store.list_names("tags/log") == [] == store.list_files("tags/log")
    assert store.create("tags/log/b.json", b"two") and store.create("tags/log/a.json", b"one")
    assert store.list_names("tags/log") == ["a.json", "b.json"]
    assert store.list_names("tags") == ["log"]
    assert store.read("tags/log/a.json", 100) == b"one"
    assert store.read("tags/log/a.json", 2) == b"on"


def test_a_second_create_loses_and_changes_nothing(store: Store) -> None:
    assert store.create("log/1.json", b"first")
    assert not store.create("log/1.json", b"first")
    assert not store.create("log/1.json", b"second")
    assert store.read("log/1.json", 100) == b"first"
    assert store.list_names("log") == ["1.json"]


def test_an_absent_object_is_not_found(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.read("log/1.json", 100)
    with pytest.raises(FileNotFoundError):
        store.open("log/1.json")
    store.delete("log/1.json")
    assert store.delete_tree("log", time.time())


def test_one_name_is_not_the_prefix_of_another(store: Store) -> None:
    store.create("logs/1.json", b"")
    assert store.list_names("log") == [] == store.list_files("log")
    store.delete_tree("log", time.time() + 1000)
    assert store.read("logs/1.json", 10) == b""


def test_files_are_listed_at_any_depth_with_size_and_time(store: Store) -> None:
    keys = ["data/s1/part 1+%20é.parquet", "data/s1/part-0.parquet", "data/s2/deep/x", "data/top"]
    for size, key in enumerate(keys):
        store.create(key, b"x" * size)
    files = [file for file in store.list_files("data") if not file.key.endswith("/")]
    assert [(file.key, file.size) for file in files] == list(zip(keys, range(4), strict=True))
    assert all(abs(file.time - time.time()) < 600 for file in files)
    assert [store.read(file.key, 9) for file in files] == [b"x" * size for size in range(4)]


def test_an_object_is_replaced_whole(store: Store) -> None:
    for text in (b"first and long", b"second"):
        store.replace("runs/r/outcome.json", text)
        assert store.read("runs/r/outcome.json", 100) == text
    assert store.list_names("runs/r") == ["outcome.json"]


def test_the_pointer_names_the_newest_snapshot(store: Store) -> None:
    for name in ("one", "two"):
        store.create(f"tags/data/{name}/part-0.parquet", b"")
        store.replace_pointer("tags", f"data/{name}", f"-- {name}\n".encode())
        assert store.read("tags/current.sql", 100) == f"-- {name}\n".encode()
    assert store.list_names("tags") == ["current", "current.sql", "data"]


def test_a_tree_is_removed_unless_it_has_changed_since(store: Store) -> None:
    for name in ("alive", "results/00000.json", "chunk-0/part-0.parquet"):
        store.replace(f"staging/r1/{name}", b"text")
    store.replace("staging/r2/alive", b"")
    assert not store.delete_tree("staging/r1", time.time() - 3600)
    assert store.read("staging/r1/results/00000.json", 9) == b"text"
    assert store.delete_tree("staging/r1", time.time() + 3600)
    assert store.list_names("staging") == ["r2"]
    store.delete("staging/r2/alive")
    assert [file for file in store.list_files("staging") if not file.key.endswith("/")] == []


def test_a_parquet_file_is_read_column_by_column(store: Store) -> None:
    sink = pa.BufferOutputStream()
    rows = pa.table({"id": [str(number) for number in range(20_000)], "value": range(20_000)})
    pq.write_table(rows, sink, row_group_size=5_000)
    data = sink.getvalue().to_pybytes()
    store.create("tags/data/s/part-0.parquet", data)
    with store.open("tags/data/s/part-0.parquet") as file, pq.ParquetFile(file) as parquet:
        assert parquet.read(["value"]).equals(rows.select(["value"]))
    with store.open("tags/data/s/part-0.parquet") as file:
        assert file.read(4) == b"PAR1" and file.seek(-4, 2) == len(data) - 4
        assert (file.read(), file.read(1)) == (b"PAR1", b"")


def test_of_racing_writers_exactly_one_wins_each_name(deciding: Store) -> None:
    wins = list[tuple[int, int]]()
    barrier = threading.Barrier(4, timeout=60)

    def race(writer: int) -> None:
        for number in range(10):
            barrier.wait()
            if deciding.create(f"tags/log/{number:08d}.json", f"writer {writer}".encode() * 100):
                wins.append((number, writer))

    racers = [threading.Thread(target=race, args=(writer,)) for writer in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert sorted(number for number, _ in wins) == list(range(10))
    for number, writer in wins:
        assert deciding.read(f"tags/log/{number:08d}.json", 10_000) == f"writer {writer}".encode() * 100
    assert len(deciding.list_names("tags/log")) == 10, "no temporary file stays behind"
