"""Score in chunks, each committed to staging when it is done: a killed run loses only the chunks in flight.

A chunk is some rows of some files of the catalog, so a catalog of many files is read once. A large file is read once
for each of its parts, so the size of its photos limits the number of parts. Three chunks are in flight: while the last
tasks of one chunk run, or Spark plans and commits a chunk, the tasks of the others fill the idle cores.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf.catalog import columns
from fashion_udf.model.bundle import Bundle
from fashion_udf.pipeline import comparison, fingerprint, staging
from fashion_udf.pipeline.fingerprint import Versions
from fashion_udf.progress import progress
from fashion_udf.schema import RESULT, SCORE
from fashion_udf.scoring import udf
from fashion_udf.scoring.scorer import Settings
from fashion_udf.spark import parallel, session

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
#: Most photo bytes to read for each scored row of a file in parts: a millisecond at 1 GB/s; scoring takes ten or more.
READ_BYTES_PER_ROW = 1_000_000
#: Bytes of a photo, if the plan did not look at photos.
USUAL_PHOTO_BYTES = 130_000
#: Chunks at a time. With two, the cores were idle while a chunk was planned and read; a third one has tasks for them.
IN_FLIGHT = 3


@dataclass(frozen=True)
class Job:
    """What every chunk of a run shares."""

    source: DataFrame  # as `columns.read` gives it
    todo: DataFrame  # as `comparison.one_per_fingerprint` gives it
    bundle: Broadcast[Bundle]
    settings: Settings
    versions: Versions
    run_id: str
    directory: Path  # the staging directory of the run
    batch_timeout: float


@dataclass(frozen=True)
class Chunk:
    """A part of the rows to score: rows in `files` (None: in no file) with an id that hashes to `part` of `parts`."""

    number: int
    files: tuple[str | None, ...]
    part: int
    parts: int
    rows: int


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
    parts = list(divided(counts.files, rows, _most_parts(job, counts), first))
    done = spark.sparkContext.accumulator(0)
    scored = (partial(_score_chunk, job, chunk, done, counts) for chunk in parts)
    with session.settings(spark, memory_bounds(counts, batch_bytes)), progress_of(counts.to_score, done):
        parallel.run_concurrently(spark.sparkContext, "chunks", scored, IN_FLIGHT)
    return first + len(parts)


def divided(sizes: dict[str | None, int], rows: int, most_parts: int, first: int) -> Iterator[Chunk]:
    """Yield chunks of about `rows` rows: several small files each, or parts of a large one.

    Args:
        sizes: rows to score by file.
        rows: most rows of a chunk. A part may have a few more, as a hash is uneven, or many more due to `most_parts`.
        most_parts: of a file.
        first: number of the first chunk.
    """
    number, files, held = first, list[str | None](), 0
    for file, size in sorted(sizes.items(), key=lambda item: item[0] or ""):
        if files and held + size > rows:
            yield Chunk(number, tuple(files), 0, 1, held)
            number, files, held = number + 1, [], 0
        if size > rows:
            parts = min(-(-size // rows), most_parts)
            for part in range(parts):
                yield Chunk(number, (file,), part, parts, size // parts)
                number += 1
        else:
            files.append(file)
            held += size
    if files:
        yield Chunk(number, tuple(files), 0, 1, held)


def _most_parts(job: Job, counts: comparison.PlanCounts) -> int:
    if "image" not in job.source.columns or not counts.with_photo:
        return max(counts.to_score, 1)
    photo_bytes = counts.photo_bytes // counts.with_photo or USUAL_PHOTO_BYTES
    return max(READ_BYTES_PER_ROW // photo_bytes, 1)


def _score_chunk(job: Job, chunk: Chunk, done: Accumulator[int], counts: comparison.PlanCounts) -> None:
    """Score a chunk."""
    job.source.sparkSession.sparkContext.setJobDescription(f"chunk {chunk.number}")
    rows = spread(_rows(job, chunk), chunk.rows, counts)
    written = job.directory / f"chunk-{chunk.number:05d}"

    def write(sandboxed: bool) -> None:
        score = udf.score_udf(job.bundle, job.settings, done, sandboxed, job.batch_timeout)
        shutil.rmtree(written, ignore_errors=True)  # of the first attempt
        _results(rows, score, job).write.parquet(str(written))

    udf.sandboxed_if_needed(write)
    staging.commit_chunk(job.directory, written, chunk.number)


def _rows(job: Job, chunk: Chunk) -> DataFrame:
    """Return the catalog's rows of a chunk, photos included."""
    from pyspark.sql import functions as F

    def of_chunk(frame: DataFrame) -> DataFrame:
        names = [name for name in chunk.files if name is not None]
        file = F.col(columns.FILE)
        chosen = file.isin(*names) if None not in chunk.files else file.isNull() | file.isin(*names)
        part = F.pmod(F.xxhash64("product_id"), F.lit(chunk.parts)) == F.lit(chunk.part)
        return frame.where(chosen if chunk.parts == 1 else chosen & part)

    todo = of_chunk(job.todo).select("product_id", F.col("fingerprint").alias("planned_fingerprint"), "known_sha256")
    # The ids are few, so they are broadcast and the photos stay where they are.
    return of_chunk(job.source).join(F.broadcast(todo), on="product_id", how="inner")


def spread(rows: DataFrame, count: int, counts: comparison.PlanCounts) -> DataFrame:
    """Give every core a share of the rows. Otherwise a small file, or a file of one row group, is one task.

    Args:
        rows: of the catalog, with their photos.
        count: number of these rows.
        counts: of the rows to score, of which these are some.
    """
    cores = rows.sparkSession.sparkContext.defaultParallelism
    photo_bytes = counts.photo_bytes * count // max(counts.to_score, 1)
    # Many photo bytes are moved only if cores would be idle.
    if photo_bytes > MOVABLE_BYTES and rows.rdd.getNumPartitions() >= cores:
        return rows
    return rows.repartition(max(1, min(count, max(cores, count // TASK_ROWS))))


def _results(rows: DataFrame, score: Callable[..., Column], job: Job) -> DataFrame:
    from pyspark.sql import functions as F

    uri = F.col("image_uri") if "image_uri" in rows.columns else None
    photo = F.col("image") if uri is None else uri
    # As really scored: where the plan had no photo at all, a photo that came since is not looked at.
    has_photo = F.lit(False) if job.settings.photo == "none" else photo.isNotNull()
    identity = fingerprint.image_identity(
        F.col("product_id"), uri, has_photo, F.col("image_version"), F.col("score.image_identity")
    )
    scored = fingerprint.fingerprint(F.col("title"), F.col("description"), identity, job.versions)
    return (
        rows.withColumn("score", score("title", "description", photo, "known_sha256"))
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


def memory_bounds(counts: comparison.PlanCounts, batch_bytes: int) -> dict[str, int]:
    """Return the session settings that bound the photos which Spark holds at a time."""
    rows = max(1, min(BATCH_ROWS, batch_bytes // max(counts.largest_photo, 1)))
    return {
        "spark.sql.parquet.columnarReaderBatchSize": rows,
        "spark.sql.execution.arrow.maxRecordsPerBatch": rows,
        # Honoured from Spark 4.0.4 on; older ones are bounded by the largest photo above.
        "spark.sql.execution.arrow.maxBytesPerBatch": batch_bytes,
    }


@contextmanager
def progress_of(total: int, rows_done: Accumulator[int]) -> Iterator[None]:
    """Show the progress of scoring `total` rows while the block runs."""
    finished = threading.Event()
    with progress(total) as shown:

        def follow() -> None:
            while not finished.wait(0.5):
                shown.update(rows_done.value)

        follower = threading.Thread(target=follow, name="progress", daemon=True)
        follower.start()
        try:
            yield
            shown.update(rows_done.value)
        finally:
            finished.set()
            follower.join()
