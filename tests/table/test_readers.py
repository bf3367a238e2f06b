"""Whoever reads the table while others publish sees one whole snapshot, with any reader and at any instant."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf.table import paths, snapshot
from tests.soak import SOAK, rounds
from tests.tables import publish, publish_staged, without_syncs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.timeout(0 if SOAK else 300)


def _ids(generation: int) -> list[str]:
    """A generation has ids of its own, in another number than those before and after it."""
    return [f"{generation}-{number}" for number in range(20 + generation % 7)]


def _publish_for_ever(output: Path) -> None:
    with without_syncs():
        for generation in itertools.count(1):
            ids = _ids(generation)
            publish(output, *(ids[part::3] for part in range(3)))


@contextmanager
def _published_meanwhile(output: Path) -> Iterator[None]:
    publisher = multiprocessing.get_context("fork").Process(target=_publish_for_ever, args=(output,), daemon=True)
    publisher.start()
    try:
        yield
    finally:
        publisher.kill()
        publisher.join()


def _readers(spark: SparkSession) -> dict[str, Callable[[Path], list[str]]]:
    def query(text: str) -> list[str]:
        with duckdb.connect() as connection:
            return [row[0] for row in connection.execute(text).fetchall()]

    def opened_early(directory: Path) -> list[str]:
        dataset = ds.dataset(directory, format="parquet")
        time.sleep(0.2)  # many publishes
        return dataset.to_table()["product_id"].to_pylist()  # type: ignore[no-any-return]

    return {
        "DuckDB, all files": lambda directory: query(f"SELECT product_id FROM '{directory}/*.parquet'"),
        "DuckDB, all files below": lambda directory: query(f"SELECT product_id FROM '{directory}/**/*.parquet'"),
        "pandas": lambda directory: list(pd.read_parquet(directory)["product_id"]),
        "pyarrow": lambda directory: ds.dataset(directory, format="parquet").to_table()["product_id"].to_pylist(),
        "pyarrow, opened early": opened_early,
        "Spark": lambda directory: [row["product_id"] for row in spark.read.parquet(str(directory)).collect()],
    }


@pytest.mark.soak
def test_at_any_instant_every_reader_sees_the_same_whole_snapshot(spark: SparkSession, tmp_path: Path) -> None:
    seen, instants = set[str](), 0
    publish(tmp_path, _ids(0))
    with _published_meanwhile(tmp_path):
        for _, draws in rounds("instants with six readers", 10):
            instants += 1
            time.sleep(draws.uniform(0, 0.05))
            directory = (tmp_path / "tags" / "current").resolve()
            for name, read in _readers(spark).items():
                found = read(directory)
                generation = int(found[0].split("-")[0])
                assert sorted(found) == sorted(_ids(generation)), name
                seen.add(f"{directory.name}: {generation}")
    assert len(seen) == instants, "one snapshot an instant, the same for every reader, and never the same again"


@pytest.mark.soak
def test_the_view_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    publish(tmp_path, _ids(0))
    with _published_meanwhile(tmp_path), duckdb.connect() as connection:
        for _ in rounds("readings of the view", 200):
            connection.execute((tmp_path / "tags" / "current.sql").read_text(encoding="utf-8"))
            found = [row[0] for row in connection.execute("SELECT product_id FROM tags").fetchall()]
            assert sorted(found) == sorted(_ids(int(found[0].split("-")[0])))


def test_a_snapshot_of_an_older_release_is_read_together_with_a_new_one(spark: SparkSession, tmp_path: Path) -> None:
    def published(name: str, **columns: list[Any]) -> Path:
        staged = tmp_path / "staging" / name
        staged.mkdir(parents=True)
        pq.write_table(pa.table(columns), staged / "part-0.parquet")
        parent = snapshot.current(str(tmp_path))
        commit = publish_staged(tmp_path, staged, name, "v", expected_rows=1, parent=parent)
        return paths.data_dir(str(tmp_path), commit)

    old = published("old", product_id=["a"], category=["Hats"])
    new = published("new", product_id=["b"], category=["Hats"], reason=["new"])
    files = ", ".join(f"'{directory}/*.parquet'" for directory in (old, new))
    rows = duckdb.sql(f"SELECT product_id, reason FROM read_parquet([{files}], union_by_name = true)").fetchall()
    merged = spark.read.option("mergeSchema", "true").parquet(str(old), str(new)).select("product_id", "reason")
    assert sorted(rows) == sorted(map(tuple, merged.collect())) == [("a", None), ("b", "new")]
