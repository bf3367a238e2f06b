"""Chunks: the rows of each, whatever the source, in tasks that read few photos in vain; the first failure ends all."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException

from fashion_udf.catalog import columns
from fashion_udf.config import Columns, Input
from fashion_udf.pipeline import chunks, division, staging, written
from fashion_udf.pipeline.comparison import PlanCounts
from fashion_udf.pipeline.division import Chunk
from fashion_udf.table import data_files, paths
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


UNUSED = Location("unused", "staging/r1")


def _job(source: DataFrame, todo: DataFrame, directory: Location = UNUSED) -> chunks.Job:
    return chunks.Job(source, todo, None, None, None, "r1", directory, 60.0)  # type: ignore[arg-type]


def _sources(folder: Path) -> dict[str, Input]:
    """A catalog of products 00 to 39 in several files, in one file, in CSV, and as a table without files."""
    names = [f"{number:02d}" for number in range(40)]
    (folder / "many files, 100%").mkdir(parents=True)
    for part, start in enumerate((0, 2, 5, 9, 20)):
        some = names[start : (2, 5, 9, 20, 40)[part]]
        pq.write_table(pa.table({"product_id": some, "title": some}), folder / "many files, 100%" / f"p {part}.parquet")
    pq.write_table(pa.table({"product_id": names, "title": names}), folder / "one.parquet", row_group_size=7)
    (folder / "c.csv").write_text("\n".join(["product_id,title", *(f"{name},{name}" for name in names)]))
    no_photos = Columns(image=None)
    return {
        "many": Input(path=str(folder / "many files, 100%"), columns=no_photos),
        "one": Input(path=str(folder / "one.parquet"), columns=no_photos),
        "csv": Input(path=str(folder / "c.csv"), format="csv", columns=no_photos),
        "table": Input(path="chunks_view", format="table", columns=no_photos),
    }


@pytest.mark.parametrize("form", ["many", "one", "csv", "table"])
def test_the_rows_of_all_chunks_are_those_to_do_each_once(spark: SparkSession, tmp_path: Path, form: str) -> None:
    from pyspark.sql import functions as F

    source = _sources(tmp_path)[form]
    spark.createDataFrame([(f"{n:02d}", f"{n:02d}") for n in range(40)], "product_id string, title string") \
        .createOrReplaceTempView("chunks_view")  # fmt: skip
    frame = columns.read(spark, source).rows
    todo = frame.where(F.col("product_id") % 4 != 1).select(
        "product_id",
        "file",
        F.concat(F.lit("f"), "product_id").alias("fingerprint"),
        F.lit("s").alias("known_sha256"),
        F.lit(None).cast("string").alias("known_validator"),
    )
    todo = todo.withColumn("row", F.col("row") if "row" in frame.columns else F.lit(None).cast("long"))
    division.ranked(todo).write.parquet(str(tmp_path / "todo"))
    job = _job(frame, spark.read.parquet(str(tmp_path / "todo")))
    sizes = {row["file"]: row["count"] for row in job.todo.groupBy("file").count().collect()}
    assert len(sizes) == (5 if form == "many" else 1) and (None in sizes) == (form in ("csv", "table"))
    found = list(division.divided(sizes, 8, lambda *_: 9, 0))
    rows = reduce(
        lambda a, b: a.unionByName(b),
        (chunks._rows(job, chunk).withColumn("number", F.lit(chunk.number)) for chunk in found),
    ).collect()
    assert sorted(row["product_id"] for row in rows) == [f"{n:02d}" for n in range(40) if n % 4 != 1]
    assert {(row["planned_fingerprint"], row["title"]) for row in rows} == {
        (f"f{row['product_id']}", row["product_id"]) for row in rows
    }
    assert {row["known_sha256"] for row in rows} == {"s"}
    by_chunk = Counter(row["number"] for row in rows)
    assert by_chunk == {chunk.number: chunk.rows for chunk in found}


def _todo(spark: SparkSession, rows: int) -> DataFrame:
    return spark.range(rows).selectExpr("string(id) product_id", "'a' file", "string(id) fingerprint")


def _counts(rows: int) -> PlanCounts:
    return PlanCounts(to_score=rows, files={"a": rows})


def test_chunks_are_a_sixtieth_of_the_rows_and_numbered_from_the_first(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Chunk] = []
    monkeypatch.setattr(chunks, "_score_chunk", lambda job, chunk, *rest: done.append(chunk))
    todo = _todo(spark, 60_000)
    assert chunks.score(_job(todo, todo), _counts(60_000), 1_000_000, first=7) == 67
    assert sorted(chunk.number for chunk in done) == list(range(7, 67))
    assert sorted((chunk.first, chunk.end) for chunk in done) == [(at, at + 1000) for at in range(0, 60_000, 1000)]


@pytest.mark.parametrize(
    ("photo", "photo_bytes", "parts"),
    [("image", 10_000, 60), ("image", 130_000, 7), ("image", 0, 7), ("image", 2_000_000, 1), ("image_uri", 0, 60)],
)
def test_a_file_with_large_photos_is_read_a_few_times_only(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, photo: str, photo_bytes: int, parts: int
) -> None:
    done: list[Chunk] = []
    monkeypatch.setattr(chunks, "_score_chunk", lambda job, chunk, *rest: done.append(chunk))
    todo = _todo(spark, 60_000)
    counts = replace(_counts(60_000), with_photo=60_000, photo_bytes=60_000 * photo_bytes)
    chunks.score(_job(todo.selectExpr("*", f"'' {photo}"), todo), counts, 1_000_000)
    assert len(done) == parts


def test_a_few_rows_are_one_chunk_and_none_are_no_chunk(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Chunk] = []
    monkeypatch.setattr(chunks, "_score_chunk", lambda job, chunk, *rest: done.append(chunk))
    todo = _todo(spark, chunks.MIN_CHUNK_ROWS)
    assert chunks.score(_job(todo, todo), _counts(chunks.MIN_CHUNK_ROWS), 1_000_000) == 1
    assert done == [Chunk(0, ("a",), 0, *[chunks.MIN_CHUNK_ROWS] * 3)]
    nothing = _todo(spark, 0)
    assert chunks.score(_job(nothing, nothing), PlanCounts(), 1_000_000, first=3) == 3


def test_a_chunk_that_fails_ends_the_run_without_the_chunks_that_wait(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    failed = threading.Event()

    def fails(job: Any, chunk: Chunk, *rest: Any) -> None:
        started.append(chunk.number)
        if chunk.number == 0:
            raise ValueError("the first")
        assert failed.wait(20)

    monkeypatch.setattr(chunks, "MIN_CHUNK_ROWS", 1)
    monkeypatch.setattr(chunks, "_score_chunk", fails)
    cancelled: list[str] = []

    def cancel(group: str) -> None:
        cancelled.append(group)
        failed.set()

    monkeypatch.setattr(spark.sparkContext, "cancelJobGroup", cancel)
    todo = _todo(spark, 100)
    with pytest.raises(ValueError, match="the first"):
        chunks.score(_job(todo, todo), _counts(100), 1_000_000)
    assert len(cancelled) == 1
    assert len(started) <= 1 + chunks.IN_FLIGHT, "those were in flight, and one may have begun when the first failed"


@pytest.mark.parametrize(
    ("largest", "rows"),
    [(800_000, 40), (10, chunks.BATCH_ROWS), (10**9, 1), (0, chunks.BATCH_ROWS)],
)
def test_readers_hold_no_more_photos_than_fit_in_a_batch(largest: int, rows: int) -> None:
    bounds = chunks.memory_bounds(PlanCounts(with_photo=10, largest_photo=largest), 32_000_000)
    assert bounds == {
        "spark.sql.parquet.columnarReaderBatchSize": rows,
        "spark.sql.execution.arrow.maxRecordsPerBatch": rows,
        "spark.sql.execution.arrow.maxBytesPerBatch": 32_000_000,
        "spark.sql.execution.rangeExchange.sampleSizePerPartition": chunks.SAMPLE_ROWS,
    }
    in_files = chunks.memory_bounds(None, 32_000_000)
    assert in_files["spark.sql.execution.arrow.maxRecordsPerBatch"] == chunks.BATCH_ROWS, "Spark holds no photo"


def test_the_bounds_hold_while_chunks_are_scored_and_no_longer(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, bounds = "spark.sql.execution.arrow.maxRecordsPerBatch", list[str | None]()
    before = spark.conf.get(key)
    monkeypatch.setattr(chunks, "_score_chunk", lambda *_: bounds.append(spark.conf.get(key)))
    todo = _todo(spark, 10)
    chunks.score(_job(todo, todo), _counts(10), 1_000_000)
    assert (bounds, spark.conf.get(key)) == ([str(chunks.BATCH_ROWS)], before)


def test_the_second_attempt_at_a_chunk_writes_beside_what_the_first_still_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    attempts: list[Path] = []

    def write(_: object, place: Location) -> tuple[DataFile, ...]:
        attempts.append(Path(str(place)))
        os.mkdir(attempts[-1])  # Spark refuses a path that exists
        if len(attempts) == 1:
            raise PySparkException("Python worker exited unexpectedly (crashed)")
        for attempt, name in zip(attempts, ("late", "part"), strict=True):  # the first one is of a task that goes on
            pq.write_table(pa.table({"key": [1]}), attempt / f"{name}.parquet")
        return data_files.described(place)

    frame: Any = SimpleNamespace()
    monkeypatch.setattr(written, "write_described", write)
    context = SimpleNamespace(setJobDescription=lambda _: None)
    source: Any = SimpleNamespace(sparkSession=SimpleNamespace(sparkContext=context))
    for name in ("_rows", "spread", "_results"):
        monkeypatch.setattr(chunks, name, lambda *_: frame)
    monkeypatch.setattr(chunks.udf, "score_udf", lambda *_: None)
    place = paths.staging_dir(str(tmp_path), "r1")
    (tmp_path / "staging" / "r1").mkdir(parents=True)
    job = replace(_job(source, frame, place), settings=SimpleNamespace(photo="none"))  # type: ignore[arg-type]
    nothing: Any = None
    chunks._score_chunk(job, Chunk(7, ("a",), 0, 1, 1, 1), nothing, PlanCounts())
    assert len({*attempts}) == 2
    (result,) = staging.result_files(str(tmp_path))
    assert str(result.place) == str(attempts[1] / "part.parquet")
