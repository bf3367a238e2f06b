"""Score in chunks. Each finished chunk is committed to staging, so that a killed run loses only the chunks in flight.

A chunk is some rows of some files of the catalog, in the order of the files, so that each photo is read about once. If
Spark itself reads the photos, it reads a large file once for each of its parts. So the size of the photos limits the
number of parts. Three chunks are in flight: while the last tasks of one chunk run, or Spark plans or commits it, tasks
of the other chunks use the idle cores.
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

#: Maximum of rows in a batch for a Python worker, and in a batch of the vectorised Parquet reader. Larger batches of
#: photos do not fit a 1 GB heap, and a worker would wait longer for its first batch. Batches of small rows are no
#: larger, because `limits.batch_timeout` holds for a batch and the sizes of photos may be unknown.
BATCH_ROWS = 64
#: Rows of a task, if rows are cheap to move: all cores get tasks, and the progress is updated often.
TASK_ROWS = 500
#: Maximum of photo bytes in a chunk that are cheap to move.
MOVABLE_BYTES = 256_000_000
#: Maximum share of the rows to score in a chunk: the three chunks in flight hold 5 % of them.
CHUNK_SHARE = 1 / 60
#: Minimum of rows in a chunk: planning and committing a chunk takes about a second of a core.
MIN_CHUNK_ROWS = 1000
#: Maximum of rows in a chunk, per core: about ten minutes of work.
MAX_CHUNK_ROWS_PER_CORE = 30_000
#: Maximum of unneeded photo bytes to read for each scored row: about a tenth of the time of scoring. A task that starts
#: inside a row group also reads the photos before its own.
READ_BYTES_PER_ROW = 1_000_000
#: Assumed bytes of a photo, if the plan did not look at photos.
USUAL_PHOTO_BYTES = 130_000
#: Rows of each task that Spark samples before it divides a chunk in the order of the files: all of them, so that the
#: shares are equal.
SAMPLE_ROWS = 1000
#: Chunks at a time. With two, cores are idle while Spark plans a chunk and reads its first rows.
IN_FLIGHT = 3


@dataclass(frozen=True)
class Job:
    """The inputs that all chunks of a run share."""

    source: DataFrame  # the source of the run, see `planning.Run`
    todo: DataFrame  # the result of `division.ranked`
    bundle: Broadcast[Bundle]
    settings: Settings
    versions: Versions
    run_id: str
    directory: Location  # the staging directory of the run
    batch_timeout: float
    photos: PhotoColumn | None = None  # see `planning.Run`
    requests: Accumulator[dict[str, int]] | None = None  # see `planning.Run`


def score(job: Job, counts: comparison.PlanCounts, batch_bytes: int, first: int = 0) -> int:
    """Score all rows of `job.todo` into staging.

    Args:
        job: the rows, and the staging directory.
        counts: the counts of the plan.
        batch_bytes: photo bytes in one Arrow batch.
        first: number of the first chunk. A run that plans again continues to count.

    Returns:
        The number for the next chunk.

    Raises:
        FashionError: an engine failed on a worker. The message has the reason.
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
    """Return the maximum number of parts of a file, so that few photos are read more than once."""
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
        # Each attempt has its own directory: tasks of the first one may still write or clean up during the second.
        name = f"chunk-{chunk.number:05d}-{int(sandboxed)}"
        return name, written.write_described(_results(rows, score, job), job.directory / name)

    name, files = udf.sandboxed_if_needed(write)
    staging.commit_chunk(job.directory, name, chunk.number, files)


def _rows(job: Job, chunk: Chunk) -> DataFrame:
    """Return the catalog's rows of a chunk, with the photos if Spark reads them."""
    from pyspark.sql import functions as F

    names = [name for name in chunk.files if name is not None]
    file, rank = F.col(FILE), F.col("rank")
    chosen = file.isin(*names) if None not in chunk.files else file.isNull() | file.isin(*names)
    todo = job.todo.where(chosen & (rank >= F.lit(chunk.first)) & (rank < F.lit(chunk.end)))
    ids = todo.select(
        "product_id", F.col("fingerprint").alias("planned_fingerprint"), "known_sha256", "known_validator"
    )
    # The ids are few. They are broadcast, so that no photo is shuffled.
    return job.source.where(chosen).join(F.broadcast(ids), on="product_id", how="inner")


def spread(rows: DataFrame, count: int, counts: comparison.PlanCounts, most_tasks: int) -> DataFrame:
    """Divide the rows among all cores. Otherwise a small file, or a file of one row group, is one task.

    Args:
        rows: rows of the catalog, with the photos if Spark reads them.
        count: number of these rows.
        counts: counts of all rows to score.
        most_tasks: maximum number of tasks, if Python workers read the photos.
    """
    cores = rows.sparkSession.sparkContext.defaultParallelism
    tasks = max(1, min(count, max(cores, count // TASK_ROWS)))
    if ROW in rows.columns:
        return parquet_photos.in_file_order(rows, max(1, min(tasks, most_tasks)))
    photo_bytes = counts.photo_bytes * count // max(counts.to_score, 1)
    # Many photo bytes are moved only if cores would otherwise be idle.
    if photo_bytes > MOVABLE_BYTES and rows.rdd.getNumPartitions() >= cores:
        return rows
    return rows.repartition(tasks)


def photo_of(rows: DataFrame) -> Column:
    """Return the photo argument of the UDF: the position in the catalog's files, the bytes, or the URI."""
    from pyspark.sql import functions as F

    if ROW in rows.columns:
        return parquet_photos.place()
    return F.col("image_uri" if "image_uri" in rows.columns else "image")


def _results(rows: DataFrame, score: Callable[..., Column], job: Job) -> DataFrame:
    from pyspark.sql import functions as F

    uri = F.col("image_uri") if "image_uri" in rows.columns else None
    photo = photo_of(rows)
    # If the plan had no photo at all, the UDF ignores photos that were added since.
    if job.settings.photo == "none":
        photo, has_photo = F.lit(None).cast("string"), F.lit(False)
    else:
        # If Python workers read the photos, only the result tells whether a row has one.
        has_photo = photo.isNotNull() if job.photos is None else F.col("score.image_identity").isNotNull()
    identity = fingerprint.image_identity(
        F.col("product_id"), uri, has_photo, F.col("image_version"), F.col("score.image_identity")
    )
    scored = fingerprint.fingerprint(F.col("title"), F.col("description"), identity, job.versions)
    return (
        rows.withColumn("score", score("title", "description", photo, "known_sha256", "known_validator"))
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
    """Return session settings that limit the photos in Spark's memory. `counts` is None if Spark reads no photos."""
    rows = max(1, min(BATCH_ROWS, batch_bytes // max(counts.largest_photo if counts else 0, 1)))
    return {
        "spark.sql.execution.rangeExchange.sampleSizePerPartition": SAMPLE_ROWS,
        "spark.sql.parquet.columnarReaderBatchSize": rows,
        "spark.sql.execution.arrow.maxRecordsPerBatch": rows,
        # Spark supports this setting from 4.0.4 on. For older releases, the largest photo sets the limit above.
        "spark.sql.execution.arrow.maxBytesPerBatch": batch_bytes,
    }


@contextmanager
def progress_of(total: int, rows_done: Accumulator[int]) -> Iterator[None]:
    """Show the progress of scoring `total` rows while the block runs."""
    with progress(total) as shown, repeated(lambda: shown.update(rows_done.value), 0.5, "progress"):
        yield
        shown.update(rows_done.value)
