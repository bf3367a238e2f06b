"""Score in chunks, each committed to staging when it is done: a killed run loses only the chunks in flight.

A chunk is some rows of some files of the catalog, in the order of the files, so each photo is read about once. Where
Spark itself reads the photos, a large file is read once for each of its parts, so the size of its photos limits the
number of parts. Three chunks are in flight: while the last tasks of one chunk run, or Spark plans and commits a chunk,
the tasks of the others fill the idle cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fashion_udf.model.bundle import Bundle
from fashion_udf.photos import parquet_photos
from fashion_udf.photos.parquet_photos import FILE, ROW, PhotoColumn
from fashion_udf.pipeline import comparison, division, fingerprint, staging, written
from fashion_udf.pipeline.division import Chunk
from fashion_udf.pipeline.fingerprint import Versions
from fashion_udf.progress import progress
from fashion_udf.repeated import repeated
from fashion_udf.schema import RESULT, SCORE
from fashion_udf.scoring import udf
from fashion_udf.scoring.scorer import Settings
from fashion_udf.spark import parallel, session
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast
    from pyspark.sql import Column, DataFrame

#: Most rows that cross to a Python worker at a time, and that the vectorised Parquet reader holds. Small rows get no
#: larger batch: `limits.batch_timeout` is for a batch, and the sizes of photos may be unknown. With Spark's 4,096 rows,
#: 300 KB photos on two tasks killed a 1 GB heap. With 512 rows a worker waits for the first 65 MB of each task: 2,000
#: rows were scored 8 % more slowly than with 64.
BATCH_ROWS = 64
#: Rows of a task if rows are cheap to move: tasks spread over all cores, and progress is shown as they finish.
TASK_ROWS = 500
#: Photo bytes of a chunk that are still cheap to move.
MOVABLE_BYTES = 256_000_000
#: A chunk has at most this share of the rows to score: the chunks in flight have 5 % of them.
CHUNK_SHARE = 1 / 60
#: A chunk has at least this many rows, because planning and committing it takes about a second of a core: in chunks of
#: 250, 500 and 1,000, 2,000 rows were scored at 104, 123 and 132 a second.
MIN_CHUNK_ROWS = 1000
#: A chunk has at most this many rows per core: ten minutes of work at 50 rows a second.
MAX_CHUNK_ROWS_PER_CORE = 30_000
#: Most photo bytes to read in vain for each scored row: a millisecond at 1 GB/s; scoring takes ten or more. A task that
#: begins inside a row group reads the photos before its own too.
READ_BYTES_PER_ROW = 1_000_000
#: Bytes of a photo, if the plan did not look at photos.
USUAL_PHOTO_BYTES = 130_000
#: Rows of each task that Spark looks at before it divides a chunk in the order of the files: all, for equal shares.
SAMPLE_ROWS = 1000
#: Chunks at a time. With two, the cores were idle while a chunk was planned and read; a third one has tasks for them.
IN_FLIGHT = 3


@dataclass(frozen=True)
class Job:
    """What every chunk of a run shares."""

    source: DataFrame  # of the run, see `planning.Run`
    todo: DataFrame  # as `division.ranked` gives it
    bundle: Broadcast[Bundle]
    settings: Settings
    versions: Versions
    run_id: str
    directory: Location  # the staging directory of the run
    batch_timeout: float
    photos: PhotoColumn | None = None  # of the run
    requests: Accumulator[dict[str, int]] | None = None  # of the run


def score(job: Job, counts: comparison.PlanCounts, batch_bytes: int, first: int = 0) -> int:
    """Score all rows of `job.todo` into staging.

    Args:
        job: what to score, and where to.
        counts: of the plan.
        batch_bytes: photo bytes in one Arrow batch.
        first: number of the first chunk; a run that plans twice continues to count.

    Returns:
        The number after the last chunk's.

    Raises:
        FashionError: an engine failed on a worker, for a reason it states.
    """
    spark = job.source.sparkSession
    cores = spark.sparkContext.defaultParallelism
    rows = max(MIN_CHUNK_ROWS, min(int(counts.to_score * CHUNK_SHARE), MAX_CHUNK_ROWS_PER_CORE * cores))
    parts = list(division.divided(counts.files, rows, partial(_most_parts, job, counts), first))
    done = spark.sparkContext.accumulator(0)
    scored = (partial(_score_chunk, job, chunk, done, counts) for chunk in parts)
    bounds = memory_bounds(counts if job.photos is None else None, batch_bytes)
    with session.settings(spark, bounds), progress_of(counts.to_score, done):
        parallel.run_concurrently(spark.sparkContext, "chunks", scored, IN_FLIGHT)
    return first + len(parts)


def _most_parts(job: Job, counts: comparison.PlanCounts, file: str | None, rows: int) -> int:
    """Return into how many parts a file may be divided, so that few of its photos are read in vain."""
    if not counts.with_photo or "image_uri" in job.source.columns:
        return rows
    if job.photos is not None and file is not None:
        return rows // max(1, parquet_photos.largest_row_group(file, job.photos) // READ_BYTES_PER_ROW)
    photo_bytes = counts.photo_bytes // counts.with_photo or USUAL_PHOTO_BYTES
    return READ_BYTES_PER_ROW // photo_bytes


def _score_chunk(job: Job, chunk: Chunk, done: Accumulator[int], counts: comparison.PlanCounts) -> None:
    """Score a chunk."""
    job.source.sparkSession.sparkContext.setJobDescription(f"chunk {chunk.number}")
    rows = spread(_rows(job, chunk), chunk.rows, counts, chunk.most_tasks)
    photos = job.photos if job.settings.photo != "none" else None

    def write(sandboxed: bool) -> tuple[str, tuple[DataFile, ...]]:
        score = udf.score_udf(job.bundle, job.settings, done, sandboxed, job.batch_timeout, photos, job.requests)
        # A directory for each attempt: while the second writes, tasks of the first may still write or clean up.
        name = f"chunk-{chunk.number:05d}-{int(sandboxed)}"
        return name, written.write_described(_results(rows, score, job), job.directory / name)

    name, files = udf.sandboxed_if_needed(write)
    staging.commit_chunk(job.directory, name, chunk.number, files)


def _rows(job: Job, chunk: Chunk) -> DataFrame:
    """Return the catalog's rows of a chunk, photos included where Spark reads them."""
    from pyspark.sql import functions as F

    names = [name for name in chunk.files if name is not None]
    file, rank = F.col(FILE), F.col("rank")
    chosen = file.isin(*names) if None not in chunk.files else file.isNull() | file.isin(*names)
    todo = job.todo.where(chosen & (rank >= F.lit(chunk.first)) & (rank < F.lit(chunk.end)))
    ids = todo.select("product_id", F.col("fingerprint").alias("planned_fingerprint"), "known_sha256", "known_since")
    # The ids are few, so they are broadcast and the photos stay where they are.
    return job.source.where(chosen).join(F.broadcast(ids), on="product_id", how="inner")


def spread(rows: DataFrame, count: int, counts: comparison.PlanCounts, most_tasks: int) -> DataFrame:
    """Give every core a share of the rows. Otherwise a small file, or a file of one row group, is one task.

    Args:
        rows: of the catalog, with their photos where Spark reads them.
        count: number of these rows.
        counts: of the rows to score, of which these are some.
        most_tasks: most shares, if Python workers read the photos.
    """
    cores = rows.sparkSession.sparkContext.defaultParallelism
    tasks = max(1, min(count, max(cores, count // TASK_ROWS)))
    if ROW in rows.columns:
        return parquet_photos.in_file_order(rows, max(1, min(tasks, most_tasks)))
    photo_bytes = counts.photo_bytes * count // max(counts.to_score, 1)
    # Many photo bytes are moved only if cores would be idle.
    if photo_bytes > MOVABLE_BYTES and rows.rdd.getNumPartitions() >= cores:
        return rows
    return rows.repartition(tasks)


def photo_of(rows: DataFrame) -> Column:
    """Return what the UDF takes for the photo of a row: its place in the catalog's files, its bytes or its URI."""
    from pyspark.sql import functions as F

    if ROW in rows.columns:
        return parquet_photos.place()
    return F.col("image_uri" if "image_uri" in rows.columns else "image")


def _results(rows: DataFrame, score: Callable[..., Column], job: Job) -> DataFrame:
    from pyspark.sql import functions as F

    uri = F.col("image_uri") if "image_uri" in rows.columns else None
    photo = photo_of(rows)
    # As really scored: where the plan had no photo at all, a photo that came since is not looked at.
    if job.settings.photo == "none":
        photo, has_photo = F.lit(None).cast("string"), F.lit(False)
    else:
        # Only who reads a photo in a file knows whether there is one.
        has_photo = photo.isNotNull() if job.photos is None else F.col("score.image_identity").isNotNull()
    identity = fingerprint.image_identity(
        F.col("product_id"), uri, has_photo, F.col("image_version"), F.col("score.image_identity")
    )
    scored = fingerprint.fingerprint(F.col("title"), F.col("description"), identity, job.versions)
    return (
        rows.withColumn("score", score("title", "description", photo, "known_sha256", "known_since"))
        .select(
            "planned_fingerprint",
            scored.alias("fingerprint"),
            *(f"score.{name}" for name in SCORE.names if name != "image_identity"),
            F.lit(job.versions.model_version).alias("model_version"),
            F.lit(job.run_id).alias("run_id"),
            F.current_timestamp().alias("tagged_at"),
        )
        .select(*RESULT.names)
    )


def memory_bounds(counts: comparison.PlanCounts | None, batch_bytes: int) -> dict[str, int]:
    """Return the session settings that bound the photos which Spark holds at a time; no `counts`: it holds none."""
    rows = max(1, min(BATCH_ROWS, batch_bytes // max(counts.largest_photo if counts else 0, 1)))
    return {
        "spark.sql.execution.rangeExchange.sampleSizePerPartition": SAMPLE_ROWS,
        "spark.sql.parquet.columnarReaderBatchSize": rows,
        "spark.sql.execution.arrow.maxRecordsPerBatch": rows,
        # Honoured from Spark 4.0.4 on; older ones are bounded by the largest photo above.
        "spark.sql.execution.arrow.maxBytesPerBatch": batch_bytes,
    }


@contextmanager
def progress_of(total: int, rows_done: Accumulator[int]) -> Iterator[None]:
    """Show the progress of scoring `total` rows while the block runs."""
    with progress(total) as shown, repeated(lambda: shown.update(rows_done.value), 0.5, "progress"):
        yield
        shown.update(rows_done.value)
