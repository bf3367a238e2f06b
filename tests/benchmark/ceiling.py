"""The ceiling: decode and engine in plain processes, one per core; no Spark, no Parquet, no table.

Photos and token ids are in memory and the engine is built before the clock starts.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.config import Engine
from fashion_udf.model import bundle, tokenizer
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.prediction import Predict
from fashion_udf.photos import decode

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

#: Photos, and their token ids int32[n, t].
Batch = tuple[list[bytes], NDArray[np.int32]]

_START_SECONDS = 300  # an engine that has not started by then never will


def rows_per_second(catalog: Path, reference: str, mode: str, cores: int) -> float:
    """Score a catalog of photos as bytes by `cores` processes; `mode` is an engine and a precision: "openvino-f32".

    Raises:
        RuntimeError: a process failed.
    """
    spawned = multiprocessing.get_context("spawn")  # a fork would share what an engine has started
    barrier, times = spawned.Barrier(cores), spawned.Queue()
    processes = [
        spawned.Process(target=_work, args=(catalog, reference, mode, part, cores, barrier, times))
        for part in range(cores)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f"Expected the ceiling's processes to end. Received: {[p.exitcode for p in processes]}")
    spans = [times.get() for _ in processes]
    rows = sum(span[2] for span in spans)
    return float(rows / (max(end for _, end, _ in spans) - min(start for start, _, _ in spans)))


def _work(
    catalog: Path,
    reference: str,
    mode: str,
    part: int,
    parts: int,
    barrier: Barrier,
    times: Queue[tuple[float, float, int]],
) -> None:
    model = bundle.read(reference)
    engine, precision = mode.split("-")
    predict = registry.create(engine, model, precision, threads=1)
    own = batches(model, catalog, part, parts)
    _score(model, predict, own[:1])  # the first call of an engine is slower
    barrier.wait(_START_SECONDS)
    start = time.monotonic()  # one clock for all processes (CLOCK_MONOTONIC)
    rows = _score(model, predict, own)
    times.put((start, time.monotonic(), rows))


def _score(model: Bundle, predict: Predict, own: Sequence[Batch]) -> int:
    rows = 0
    for photos, token_ids in own:
        decoded = [decode.decode(photo, model.manifest.image.size).pixels for photo in photos]
        pixels = np.stack([picture for picture in decoded if picture is not None])
        predict(pixels, np.ones((len(photos), 1), np.float32), token_ids)
        rows += len(photos)
    return rows


def batches(model: Bundle, catalog: Path, part: int, parts: int) -> list[Batch]:
    """Return every `parts`-th row of a catalog from row `part` on, in batches of the size that a job has."""
    table = pq.read_table(catalog)
    table = table.take(list(range(part, len(table), parts)))
    reader = tokenizer.tokenizer_from_bytes(model.files["tokenizer.json"])
    size, own = Engine().batch_size, []
    for at in range(0, len(table), size):
        rows = table[at : at + size]
        texts = map(tokenizer.product_text, rows["title"].to_pylist(), rows["description"].to_pylist())
        own.append((rows["image"].to_pylist(), tokenizer.encode(reader, list(texts))))
    return own
