"""Scoring as one scalar-iterator pandas UDF. It returns one struct, so that a row is scored once.

The driver broadcasts the bundle. A Python worker builds its `Scorer` at its first batch and uses it for all of its
tasks (`spark.python.worker.reuse`).
"""

from __future__ import annotations

import faulthandler
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pandas as pd

from fashion_udf import errors
from fashion_udf.errors import FashionError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.photos import attempts, parquet_photos
from fashion_udf.photos.decode import Decoded
from fashion_udf.photos.decode import decode as decode_photo
from fashion_udf.photos.parquet_photos import PhotoColumn
from fashion_udf.photos.sandbox import TIMEOUT, SandboxedDecoder
from fashion_udf.schema import SCORE, TAG, to_spark
from fashion_udf.scoring.batches import Batch
from fashion_udf.scoring.scorer import Decode, Scorer, Settings
from fashion_udf.scoring.tagger import tags, values

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast
    from pyspark.resource import ResourceInformation
    from pyspark.sql import Column

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

#: Texts of Spark's errors after the death of a Python worker, or of its executor: a container that exceeds its memory
#: is killed with all its processes.
_WORKER_DEATHS = ("Python worker exited unexpectedly", "Python worker failed", "ExecutorLostFailure")
#: Maximum of scorers in a worker, each with an engine of some hundred MB: for a run, with and without the sandbox.
_KEPT = 2

#: A column of a data frame, by name or as an expression; None if the data frame has no such column.
Name: TypeAlias = "str | Column | None"

#: The scorers of this worker, each with a function that ends the child of its sandbox, in the order of their last use.
_scorers: dict[tuple[object, ...], tuple[Scorer, Callable[[], None]]] = {}


def score_udf(
    bundle: Broadcast[Bundle],
    settings: Settings,
    rows_done: Accumulator[int],
    sandboxed: bool,
    batch_timeout: float,
    photos: PhotoColumn | None = None,
    requests: Accumulator[dict[str, int]] | None = None,
) -> Callable[..., Column]:
    """Return a UDF that yields a struct with the fields of `SCORE`.

    Its arguments are the columns title, description, photo, known_sha256 and known_validator.

    Args:
        bundle: the verified bundle, broadcast once.
        settings: settings of scoring.
        rows_done: a counter of the rows of finished tasks.
        sandboxed: decode every photo in a child process, so that a photo that kills or hangs the decoder fails one row.
        batch_timeout: seconds after which a batch counts as hung. The worker then dumps its stack and exits. In the
            sandbox, each photo has its own time limit, and the seconds start again with each photo.
        photos: where the photos are in the catalog's files. The photo argument is then `parquet_photos.place()`, and
            the rows are in the order of the files.
        requests: counters of the requests for photos, by name.
    """
    from pyspark.sql.pandas.functions import pandas_udf

    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        for scores in _scored(batches, bundle.value, settings, sandboxed, batch_timeout, photos):
            rows_done.add(len(scores))
            if requests is not None and (sent := attempts.counted()):
                requests.add(sent)
            yield scores

    return pandas_udf(score, to_spark(SCORE))  # type: ignore[call-overload, no-any-return]


def tag_udf(
    bundle: Broadcast[Bundle], settings: Settings, sandboxed: bool, batch_timeout: float
) -> Callable[..., Column]:
    """Return a UDF over (title, description, photo) that yields a struct with the fields of `TAG`.

    Omitted columns count as null. The arguments are those of `score_udf`.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.functions import pandas_udf

    def tag(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        for scores in _scored(batches, bundle.value, settings, sandboxed, batch_timeout):
            yield tags(scores, bundle.value.model_version)

    # Spark copies a deterministic function into each filter on its result, and so would score a row twice.
    tag_all: Callable[..., Column] = pandas_udf(tag, to_spark(TAG)).asNondeterministic()  # type: ignore[call-overload]

    def tag_columns(title: Name, description: Name = None, photo: Name = None) -> Column:
        absent = F.lit(None).cast("string")
        return tag_all(*(absent if column is None else column for column in (title, description, photo)))

    return tag_columns


def _scored(
    batches: Iterator[tuple[Any, ...]],  # each column is a pandas series; the place of a photo is a data frame
    bundle: Bundle,
    settings: Settings,
    sandboxed: bool,
    batch_timeout: float,
    photos: PhotoColumn | None = None,
) -> Iterator[pd.DataFrame]:
    """Score the batches of a task, in a Python worker."""
    scorer = _scorer(bundle, settings, sandboxed, batch_timeout)

    # Spark 3.5 and 4.0 do not end a worker that hangs in a decoder or engine, so the run would hang.
    def watch() -> None:
        faulthandler.dump_traceback_later(batch_timeout, exit=True)

    def taken() -> Iterator[Batch]:
        for titles, descriptions, photo, *known in batches:
            watch()
            bytes_or_uris = values(photo) if reader is None else reader.photos(photo)
            yield Batch(values(titles), values(descriptions), bytes_or_uris, *map(values, known))
            faulthandler.cancel_dump_traceback_later()  # to wait for Spark is not to hang
        watch()  # the rows that are left

    with (
        nullcontext() if photos is None else parquet_photos.Reader(photos) as reader,
        closing(scorer.scores(taken())) as found,
    ):
        try:
            for scores in found:
                faulthandler.cancel_dump_traceback_later()
                yield scores
                watch()
        finally:
            faulthandler.cancel_dump_traceback_later()


def sandboxed_if_needed(score: Callable[[bool], Result]) -> Result:
    """Return `score(False)`. If a Python worker died, return `score(True)`, which decodes in a child process.

    Raises:
        FashionError: a worker raised this error on purpose.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    for sandboxed in (False, True):
        try:
            return score(sandboxed)
        except (Py4JJavaError, PySparkException) as error:
            if own := own_error(error):
                raise own from error
            if sandboxed or not worker_died(error):
                raise
            logger.warning(
                "a Python worker died; its rows are scored again, with each photo decoded in a child process"
            )
    raise AssertionError("the second attempt returns or raises")


@contextmanager
def own_errors() -> Iterator[None]:
    """Replace Spark's error by the `FashionError` that a Python worker raised on purpose."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        if own := own_error(error):
            raise own from error
        raise


def own_error(error: Exception) -> FashionError | None:
    """Return the `FashionError` of a Python worker from the text of Spark's exception; None for another exception."""
    found = re.search(r"fashion_udf\.errors\.(\w+): (.+)", str(error))
    return getattr(errors, found[1])(found[2]) if found else None


def worker_died(error: Exception) -> bool:
    """Return whether a Python worker ended without an exception: a photo killed it, or its batch hung."""
    return any(sign in str(error) for sign in _WORKER_DEATHS)


def _scorer(bundle: Bundle, settings: Settings, sandboxed: bool, batch_timeout: float) -> Scorer:
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None  # a UDF runs in a task
    cores = context.cpus()
    key = (bundle.model_version, settings, sandboxed, batch_timeout, cores)
    if key not in _scorers:
        while len(_scorers) >= _KEPT:
            _, close = _scorers.pop(next(iter(_scorers)))
            close()
        on_gpu = take_gpu(context.resources()) and settings.engine == "tensorflow"
        predict = registry.create(settings.engine, bundle, settings.precision, threads=cores)
        sandbox = SandboxedDecoder(min(TIMEOUT, batch_timeout / 2))  # the child starts at the first photo
        decode = _watched(sandbox.decode, batch_timeout) if sandboxed else decode_photo
        threads = photo_threads(settings, sandboxed, on_gpu)
        _scorers[key] = Scorer(bundle, settings, predict, decode, threads, cores), sandbox.close
    else:
        _scorers[key] = _scorers.pop(key)
    return _scorers[key][0]


def _watched(decode: Decode, batch_timeout: float) -> Decode:
    """Return `decode` with a restart of the batch's watchdog before each photo.

    The sandbox ends each photo that hangs. So a batch of 64 such photos may take 64 times the limit of one photo.
    """

    def decode_in_time(data: bytes, size: int, max_bytes: int, max_pixels: int) -> Decoded:
        faulthandler.dump_traceback_later(batch_timeout, exit=True)
        return decode(data, size, max_bytes, max_pixels)

    return decode_in_time


def take_gpu(resources: Mapping[str, ResourceInformation]) -> bool:
    """Restrict TensorFlow to the GPU that Spark assigned to the task; return whether there is one.

    TensorFlow chooses its devices once per process, so that a reused worker keeps the GPU of its first task.
    """
    gpu = resources.get("gpu")
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.addresses[0] if gpu else "-1"
    return gpu is not None


def photo_threads(settings: Settings, sandboxed: bool, on_gpu: bool) -> int:
    """Return the number of threads that fetch and decode photos while the engine works; 0 if threads do not help.

    Photos in the row need no fetching, and an engine on the CPU leaves no core for decoding. The sandbox's child
    process decodes one photo at a time.
    """
    return settings.fetch_threads if (settings.photo == "uri" or on_gpu) and not sandboxed else 0
