"""The same nights on local files, on S3 and on HDFS: the same table comes of them, row for row."""

from __future__ import annotations

import contextlib
import itertools
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf import config
from fashion_udf.commands import snapshots
from fashion_udf.config import Columns, JobConfig, Output
from fashion_udf.errors import ConfigError
from fashion_udf.pipeline import chunks, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.s3 import S3Settings
from fashion_udf.similar import recommending
from fashion_udf.similar.settings import RecommendConfig
from fashion_udf.table import s3_store, snapshot
from fashion_udf.table.stores import open_store
from fashion_udf.table.tags_table import TagsTable
from tests import small_bundle
from tests.nights import COLUMNS, Killed, Shop
from tests.servers import jars
from tests.servers.hadoop import Hdfs, hadoop_process, hdfs
from tests.servers.s3 import S3Server
from tests.submit import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["hadoop_process", "hdfs"]

Rows = dict[str, tuple[Any, ...]]

_NUMBERS = itertools.count(1)
#: What an output is named by, and where S3 is.
Place = tuple[str, S3Settings]

# The heartbeat of a dead run ends in its own thread.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def on_s3(s3_server: S3Server) -> Iterator[Place]:
    """An output on S3 that nobody has used."""
    jars.needed("s3a")
    s3_store.use(s3_server.settings)
    yield f"s3://{s3_server.bucket('nights')}/{next(_NUMBERS)}/out", s3_server.settings
    s3_store.use(S3Settings())


@pytest.fixture
def on_hdfs(spark: SparkSession, hdfs: Hdfs) -> Place:
    """An output on HDFS that nobody has used."""
    return f"{hdfs.new_folder()}/out", S3Settings()


@pytest.fixture(scope="module")
def on_local_files(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> list[Rows]:
    """The tables of the nights on local files."""
    folder = tmp_path_factory.mktemp("local")
    return _nights(spark, folder, (str(folder / "out"), S3Settings()))


def _config(shop: Shop, folder: Path, place: Place) -> JobConfig:
    """Write the inputs of a run where its output is: catalog, overrides and bundle."""
    job, (output, settings) = shop.write(folder), place
    changes: dict[str, Any] = {"output": Output(path=output), "s3": settings}
    if "://" in output:
        version = small_bundle.read().model_version
        changes["input"] = job.input.model_copy(update={"path": _put(folder / "catalog", output)})
        changes["overrides"] = job.overrides.model_copy(update={"path": _put(folder / "overrides", output)})
        changes["bundle"] = f"{_put(small_bundle.directory(), output)}@{version}"
    return job.model_copy(update=changes)


def _put(source: Path, output: str) -> str:
    """Copy a folder to the place beside an output, in place of what is there; returns its URI."""
    root = output.removesuffix("/out")
    store = open_store(root)
    store.delete_tree(source.name, float("inf"))
    for path in (path for path in source.rglob("*") if path.is_file()):
        store.replace(f"{source.name}/{path.relative_to(source)}", path.read_bytes())
    return f"{root}/{source.name}"


def _held(output: str, number: int | None = None) -> Rows:
    """What a commit holds, by product, after every byte of it was verified."""
    commit = snapshot.newest(output) if number is None else snapshot.numbered(output, number)
    snapshot.verify(output, commit)
    frame = TagsTable(output).to_pandas(["product_id", *COLUMNS], number).astype(object)
    rows = {row[0]: tuple(row[1:]) for row in frame.where(frame.notna(), None).itertuples(index=False)}
    assert len(rows) == len(frame) == commit.rows
    return rows


def _similar(spark: SparkSession, place: Place) -> Rows:
    """Publish the lists of similar products; returns them."""
    output, settings = place
    tree = {"output": {"path": output}, "s3": settings.model_dump(), "scope": "anywhere"}
    assert recommending.recommend(spark, config.validate(RecommendConfig, tree, "a test")).published
    lists: Rows = {}
    for pair in TagsTable(output).similar().itertuples(index=False):
        lists[pair.product_id] = (*lists.get(pair.product_id, ()), (pair.similar_id, pair.score))
    return lists


def _nights(spark: SparkSession, folder: Path, place: Place) -> list[Rows]:
    """A full night, one on which little changed, a backfill, a rollback and an expire; returns the table after each.

    After the first two nights the lists of similar products are returned too.
    """
    shop, (output, _), tables = Shop(random.Random(5)), place, list[Rows]()
    shop.add(12)

    def night(scope: Scope | None = None) -> None:
        assert tagging.tag(spark, _config(shop, folder, place), scope).published
        tables.append(_held(output))

    night()
    assert tables[-1] == shop.expected()
    first = _similar(spark, place)
    assert len(first) > 1
    shop.change(1)
    shop.remove(1)
    night()
    assert tables[-1] == shop.expected()
    tables += [first, _similar(spark, place)]
    shop.add(2)
    shop.override(2)
    newest = spark.createDataFrame([([*shop.products][-1],)], "product_id string")
    night(Scope(selected=newest))
    assert set(shop.overrides.items()) & {(name, row[0]) for name, row in tables[-1].items()}
    _run("rollback", output, "--to", 1)
    tables.append(_held(output))
    assert tables[-1] == tables[0]
    _run("expire", output, "--older-than", "0s", "--grace", "0s", "--keep", 1)
    tables.append(_held(output))
    left = snapshot.newest(output).snapshot_id
    assert open_store(output).list_names("tags/data") == [left]
    assert not any(not file.key.endswith("/") for file in open_store(output).list_files("staging"))
    return tables


def _run(command: str, output: str, *arguments: object) -> None:
    snapshots.main([command, "--output", output, *map(str, arguments)])


def _check_commands(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every other subcommand of `snapshots` on an output with four commits, of which the first one's table is left."""
    capsys.readouterr()
    for command, told in {
        "list": "rollback",
        "show": "part-00000",
        "path": f"{output}/tags/data/",
        "verify": "are as committed",
        "repair": "name commit 4",
    }.items():
        _run(command, output)
        assert told in capsys.readouterr().out
    _run("pin", output, "--number", 4, "--note", "kept")
    _run("diff", output, 1, 4)
    _run("unpin", output, "--number", 4)
    assert "is no longer pinned" in capsys.readouterr().out
    newest = snapshot.newest(output)
    store = open_store(output)
    assert store.read("tags/current", 1000).decode().strip() == f"data/{newest.snapshot_id}"
    assert f"'{output}/tags/data/{newest.snapshot_id}/*.parquet'" in store.read("tags/current.sql", 1000).decode()
    reports = {file.key.split("/")[2].split(".")[0] for file in store.list_files("runs") if not file.key.endswith("/")}
    assert {"outcome", "metrics", "changes", "failures", "review", "unchanged", "retries"} <= reports


def test_nights_on_s3_make_the_table_of_nights_on_local_files(
    spark: SparkSession, tmp_path: Path, on_local_files: list[Rows], on_s3: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _nights(spark, tmp_path, on_s3) == on_local_files
    _check_commands(on_s3[0], capsys)


def test_nights_on_hdfs_make_the_table_of_nights_on_local_files(
    spark: SparkSession, tmp_path: Path, on_local_files: list[Rows], on_hdfs: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _nights(spark, tmp_path, on_hdfs) == on_local_files
    _check_commands(on_hdfs[0], capsys)
    # Without a Spark that runs: Java alone is started.
    command = [sys.executable, "-m", "fashion_udf", "snapshots", "verify", "--output", on_hdfs[0]]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "are as committed" in ended.stdout, ended.stderr[-2000:]


@contextlib.contextmanager
def _dies_at(request: Callable[[str, str], bool], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End what runs inside at the first request to S3 of this process that is meant; every later one fails too."""
    from botocore.client import BaseClient

    send, dead = BaseClient._make_api_call, list[bool]()

    def watched(self: BaseClient, operation: str, options: dict[str, Any]) -> Any:
        if dead or request(operation, options.get("Key", "")):
            dead.append(True)
            raise Killed
        return send(self, operation, options)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", watched)
        with contextlib.suppress(Killed):
            yield
    assert dead, "the run came by none"


#: Where a night dies: name -> (operation, key) of the request.
FAILPOINTS: dict[str, Callable[[str, str], bool]] = {
    "the manifest of a chunk": lambda operation, key: operation == "PutObject" and key.endswith("results/00001.json"),
    "the commit": lambda operation, key: operation == "PutObject" and key.endswith("log/00000002.json"),
    "the pointer": lambda operation, key: operation == "PutObject" and key.endswith("tags/current"),
}


def test_a_night_on_s3_that_dies_is_brought_up_to_date_by_the_next_one(
    spark: SparkSession, tmp_path: Path, on_s3: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MIN_CHUNK_ROWS", 3)
    shop, output = Shop(random.Random(6)), on_s3[0]
    shop.add(8)
    tagging.tag(spark, _config(shop, tmp_path, on_s3))
    for name, request in FAILPOINTS.items():
        shop.change(5)
        config, before = _config(shop, tmp_path, on_s3), _held(output)
        number = snapshot.newest(output).number
        meant = f"log/{number + 1:08d}.json"
        with _dies_at(
            lambda operation, key, request=request, meant=meant: request(  # type: ignore[misc]
                operation, key.replace(meant, "log/00000002.json")
            ),
            monkeypatch,
        ):
            tagging.tag(spark, config)
        assert _held(output) == (shop.expected() if name == "the pointer" else before), name
        outcome = tagging.tag(spark, config)
        assert _held(output) == shop.expected(), name
        assert outcome.counts.staged == 0 or name != "the pointer"
        assert snapshot.newest(output).number == number + 1
        current = open_store(output).read("tags/current", 1000).decode().strip()
        assert current == f"data/{snapshot.newest(output).snapshot_id}"


def test_the_default_file_system_decides_nothing(spark: SparkSession, tmp_path: Path) -> None:
    """A name node that does not answer is named in Spark's configuration, as on a cluster's edge node."""
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    shop = Shop(random.Random(4))
    shop.add(3)
    config = shop.write(tmp_path)
    before = hadoop.get("fs.defaultFS")
    hadoop.set("fs.defaultFS", "hdfs://127.0.0.1:1")
    spark.conf.set("fs.defaultFS", "hdfs://127.0.0.1:1")
    try:
        assert tagging.tag(spark, config).published
        (tmp_path / "catalog.csv").write_text("product_id,title\nx,Red shirt\n")
        read = {"path": str(tmp_path / "catalog.csv"), "format": "csv", "columns": Columns(image=None)}
        csv = config.input.model_copy(update=read)
        selected = spark.createDataFrame([("x",)], "product_id string")
        assert tagging.tag(spark, config.model_copy(update={"input": csv}), Scope(selected=selected)).published
    finally:
        hadoop.set("fs.defaultFS", before)
        spark.conf.unset("fs.defaultFS")
    assert _held(str(tmp_path / "out")).keys() == {*shop.products, "x"}


def test_a_bucket_that_is_not_there_is_refused_at_the_start(spark: SparkSession, tmp_path: Path, on_s3: Place) -> None:
    settings = _config(Shop(random.Random(4)), tmp_path, on_s3)
    with pytest.raises(ConfigError, match=r"Expected an output\.path that can be reached.*NoSuchBucket"):
        tagging.tag(spark, settings.model_copy(update={"output": Output(path="s3://no-such-bucket/out")}))
