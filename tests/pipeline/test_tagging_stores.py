"""The same nights on local files, on S3 and on HDFS: the same table comes of them, row for row."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.config import JobConfig, Output
from fashion_udf.pipeline import tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.s3 import S3Settings
from fashion_udf.table import s3_store, snapshot
from fashion_udf.table.tags_table import TagsTable
from tests.nights import COLUMNS, Shop
from tests.servers import jars
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Rows = dict[str, tuple[Any, ...]]


@pytest.fixture
def s3_output(s3_server: S3Server) -> Iterator[tuple[str, S3Settings]]:
    """An output in a bucket of its own, and where that is."""
    jars.needed("s3a")
    name = s3_server.bucket(f"tags-{random.randrange(10**9)}")
    s3_store.use(s3_server.settings)
    yield f"s3://{name}/out", s3_server.settings
    s3_store.use(S3Settings())


def _config(shop: Shop, folder: Path, output: str, settings: S3Settings) -> JobConfig:
    config = shop.write(folder)
    return config.model_copy(update={"output": Output(path=output), "s3": settings})


def _held(output: str, number: int | None = None) -> Rows:
    """What a commit holds, by product, after every byte of it was verified."""
    commit = snapshot.newest(output) if number is None else snapshot.numbered(output, number)
    snapshot.verify(output, commit)
    frame = TagsTable(output).to_pandas(["product_id", *COLUMNS], number)
    rows = {row[0]: tuple(row[1:]) for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False)}
    assert len(rows) == len(frame) == commit.rows
    return rows


def _nights(spark: SparkSession, folder: Path, output: str, settings: S3Settings) -> list[Rows]:
    """A full night, one on which little changed, a backfill and a rollback; returns the table after each."""
    shop = Shop(random.Random(5))
    shop.add(12)
    tables = []

    def publish(scope: Scope | None = None) -> None:
        assert tagging.tag(spark, _config(shop, folder, output, settings), scope).published
        tables.append(_held(output))

    publish()
    assert tables[-1] == shop.expected()
    assert not tagging.tag(spark, _config(shop, folder, output, settings)).published
    shop.change(1)
    shop.remove(1)
    publish()
    assert tables[-1] == shop.expected()
    shop.add(2)
    newest = [*shop.products][-1]
    publish(Scope(selected=spark.createDataFrame([(newest,)], "product_id string")))
    TagsTable(output).rollback(1)
    tables.append(_held(output))
    assert tables[-1] == tables[0]
    return tables


def test_nights_on_s3_make_the_table_of_nights_on_local_files(
    spark: SparkSession, tmp_path: Path, s3_output: tuple[str, S3Settings]
) -> None:
    output, settings = s3_output
    local = _nights(spark, tmp_path / "local", str(tmp_path / "out"), S3Settings())
    assert _nights(spark, tmp_path / "s3", output, settings) == local
