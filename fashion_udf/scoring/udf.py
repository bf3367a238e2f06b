"""Scoring as one scalar-iterator pandas UDF that returns one struct, so a row is scored once and no photo is sent back.

The bundle is broadcast from the driver; a Python worker builds its `Scorer` at its first batch and keeps it for all its
tasks (`spark.python.worker.reuse`).
"""

from __future__ import annotations

import faulthandler
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
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
from fashion_udf.scoring.scorer import Decode, Scorer, Settings
from fashion_udf.scoring.tagger import tags, values

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast
    from pyspark.resource import ResourceInformation
    from pyspark.sql import Column

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

#: What Spark says of a Python worker that is gone, alone or with its executor: a container is killed whole where its
#: memory is exceeded.
_WORKER_DEATHS = ("Python worker exited unexpectedly", "Python worker failed", "ExecutorLostFailure")
#: Scorers that a worker keeps, each with an engine of some hundred MB: of a run, with the sandbox and without.
_KEPT = 2

#: A column of a data frame, by name or as an expression; None where the data frame has none.
Name: TypeAlias = "str | Column | None"

#: The scorers of this worker, and what ends the child of each one's sandbox; the one used last stands last.
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

    Its columns are title, description, photo, known_sha256 and known_since.

    Args:
        bundle: the verified bundle, broadcast once.
        settings: how to score.
        rows_done: grows by the rows of every finished task.
        sandboxed: decode every photo in a child process, so that one which kills or hangs the decoder costs its row
            alone.
        batch_timeout: seconds after which a batch is taken for hung; the worker then dumps its stack and exits. In the
            sandbox, where each photo has its own time limit, the seconds begin anew with each photo.
        photos: in the catalog's files; the photo is then `parquet_photos.place()`, and rows come in the files' order.
        requests: grow by the requests for photos, by name.
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

    Columns that are left out count as null. The arguments are those of `score_udf`.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.functions import pandas_udf

    def tag(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        for scores in _scored(batches, bundle.value, settings, sandboxed, batch_timeout):
            yield tags(scores, bundle.value.model_version)

    tag_all: Callable[..., Column] = pandas_udf(tag, to_spark(TAG))  # type: ignore[call-overload]

    def tag_columns(title: Name, description: Name = None, photo: Name = None) -> Column:
        absent = F.lit(None).cast("string")
        return tag_all(*(absent if column is None else column for column in (title, description, photo)))

    return tag_columns


def _scored(
    batches: Iterator[tuple[Any, ...]],  # each column a pandas series, a photo's place a data frame
    bundle: Bundle,
    settings: Settings,
    sandboxed: bool,
    batch_timeout: float,
    photos: PhotoColumn | None = None,
) -> Iterator[pd.DataFrame]:
    """Score the batches of a task, in a Python worker."""
    scorer = _scorer(bundle, settings, sandboxed, batch_timeout)
    with nullcontext() if photos is None else parquet_photos.Reader(photos) as reader:
        for titles, descriptions, photo, *known in batches:
            # Spark 3.5 and 4.0 kill no worker that stands still; a decoder or engine that hangs must not hang a night.
            faulthandler.dump_traceback_later(batch_timeout, exit=True)
            try:
                bytes_or_uris = values(photo) if reader is None else reader.photos(photo)
                scores = scorer.score(values(titles), values(descriptions), bytes_or_uris, *map(values, known))
            finally:
                faulthandler.cancel_dump_traceback_later()
            yield scores


def sandboxed_if_needed(score: Callable[[bool], Result]) -> Result:
    """Return `score(False)`; if a Python worker died of a photo, `score(True)`, to decode each in a child process.

    Raises:
        FashionError: a worker raised it on purpose.
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
                "a Python worker died; scoring its rows once more with each photo decoded in a child process"
            )
    raise AssertionError("the second attempt returns or raises")


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise what a Python worker raised on purpose in place of Spark's error around it."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        if own := own_error(error):
            raise own from error
        raise


def own_error(error: Exception) -> FashionError | None:
    """Return what a Python worker raised on purpose, which Spark wraps in the text of an exception of its own."""
    found = re.search(r"fashion_udf\.errors\.(\w+): (.+)", str(error))
    return getattr(errors, found[1])(found[2]) if found else None


def worker_died(error: Exception) -> bool:
    """Whether a Python worker ended without an exception: a photo killed it, or its batch hung."""
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
        sandbox = SandboxedDecoder(min(TIMEOUT, batch_timeout / 2))  # starts no child before its first photo
        decode = _watched(sandbox.decode, batch_timeout) if sandboxed else decode_photo
        threads = photo_threads(settings, sandboxed, on_gpu)
        _scorers[key] = Scorer(bundle, settings, predict, decode, threads, cores), sandbox.close
    else:
        _scorers[key] = _scorers.pop(key)
    return _scorers[key][0]


def _watched(decode: Decode, batch_timeout: float) -> Decode:
    """Return `decode` with the watchdog of the batch armed anew before each photo.

    The sandbox ends a photo that hangs, so 64 photos that hang take 64 times as long as one, and none is left undone.
    """

    def decode_in_time(data: bytes, size: int, max_bytes: int, max_pixels: int) -> Decoded:
        faulthandler.dump_traceback_later(batch_timeout, exit=True)
        return decode(data, size, max_bytes, max_pixels)

    return decode_in_time


def take_gpu(resources: Mapping[str, ResourceInformation]) -> bool:
    """Show TensorFlow the GPU that Spark gave to the task, and no other; return whether there is one.

    TensorFlow chooses its devices once per process, so a worker that Spark reuses keeps the GPU of its first task.
    """
    gpu = resources.get("gpu")
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.addresses[0] if gpu else "-1"
    return gpu is not None


def photo_threads(settings: Settings, sandboxed: bool, on_gpu: bool) -> int:
    """Return how many threads fetch and decode photos while the engine works; 0 where that only costs time.

    Photos in the row need no fetching, and an engine on the task's cores leaves none to decode on. A child process that
    decodes in the sandbox takes one photo after the other.
    """
    return settings.fetch_threads if (settings.photo == "uri" or on_gpu) and not sandboxed else 0
