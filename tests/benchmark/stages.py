"""Seconds per stage: one process passes some hundred rows through the same functions that a Python worker uses.

    .venv/bin/python -m tests.benchmark.stages --mode openvino-f32 --catalog DIR [--bundle PATH] [--rows 300]

Prints JSON: seconds per row of each stage. `assemble` is what scoring takes beside the others: calibration, decisions,
the data frame of results. `write` and what Spark itself takes are not here but in the event log of a run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.config import Engine, JobConfig, Limits
from fashion_udf.model import bundle, tokenizer
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.photos import decode, fetch
from fashion_udf.scoring import scorer
from tests.benchmark import plain_model

PLAIN = "plain"
#: In the order in which a row meets them; the last two come from a run of the job.
STAGES = ("fetch", "decode", "tokenize", "predict", "assemble", "write", "rest")

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Timer:
    """Sums up seconds by stage."""

    def __init__(self) -> None:
        """Start with no stage."""
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def timed(self, stage: str, function: Callable[Given, Result]) -> Callable[Given, Result]:
        """Return a function whose calls count for a stage."""

        def call(*arguments: Given.args, **named: Given.kwargs) -> Result:
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[stage] += time.perf_counter() - start

        return call


def measure(mode: str, catalog: Path, reference: str, rows: int, cwd: Path) -> dict[str, float]:
    """Measure a mode in a process of its own: seconds per row by stage.

    Args:
        mode: "plain", or an engine and a precision: "openvino-f32".
        catalog: a folder of Parquet files, see `tests.benchmark.catalogs`.
        reference: the bundle.
        rows: how many to pass, at most.
        cwd: the repository.

    Raises:
        RuntimeError: the process failed.
    """
    command = [sys.executable, "-m", "tests.benchmark.stages", "--mode", mode, "--catalog", str(catalog.absolute())]
    command += ["--bundle", reference, "--rows", str(rows)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"Expected the stages of {mode} to be measured. Received: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Parse arguments, pass the rows, print JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.stages", description=__doc__)
    parser.add_argument("--mode", required=True)
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--bundle", default="builtin")
    parser.add_argument("--rows", type=int, default=300)
    arguments = parser.parse_args()
    table = pq.read_table(arguments.catalog)[: arguments.rows]
    uri = "image_uri" in table.column_names
    columns = [table[name].to_pylist() for name in ("title", "description", "image_uri" if uri else "image")]
    model = bundle.read(arguments.bundle)
    if arguments.mode == PLAIN:
        seconds = plain_pass(model, *columns)
    else:
        seconds = library_pass(model, arguments.mode, *columns)
    sys.stdout.write(json.dumps({stage: total / len(table) for stage, total in seconds.items()}) + "\n")


def library_pass(
    model: Bundle, mode: str, titles: Sequence[str], descriptions: Sequence[str], photo_column: Sequence[bytes | str]
) -> dict[str, float]:
    """Score rows with the library; photos by URI are fetched first. Returns seconds by stage."""
    engine, _, precision = mode.partition("-")
    timer, size = Timer(), Engine().batch_size
    data = [_fetched(photo, timer) if isinstance(photo, str) else photo for photo in photo_column]
    settings = _settings(engine, precision, size)
    predict = registry.create(engine, model, precision, threads=1)
    ready = scorer.Scorer(model, settings, timer.timed("predict", predict), timer.timed("decode", decode.decode))
    ready.score(titles[:size], descriptions[:size], data[:size])  # the first call of an engine is slower
    fetching = timer.seconds.pop("fetch", 0.0)
    timer.seconds.clear()
    timer.timed("score", ready.score)(titles, descriptions, data)
    reader = tokenizer.tokenizer_from_bytes(model.files["tokenizer.json"])
    tokenize = timer.timed(
        "tokenize", lambda texts: tokenizer.encode(reader, [tokenizer.product_text(*pair) for pair in texts])
    )
    for at in range(0, len(titles), size):
        tokenize(list(zip(titles[at : at + size], descriptions[at : at + size], strict=True)))
    parts = {stage: timer.seconds[stage] for stage in ("decode", "tokenize", "predict")}
    return {"fetch": fetching, **parts, "assemble": max(0.0, timer.seconds["score"] - sum(parts.values()))}


def plain_pass(
    model: Bundle, titles: Sequence[str], descriptions: Sequence[str], data: Sequence[bytes]
) -> dict[str, float]:
    """Score rows as the plain job does; returns seconds by stage."""
    parts, timer, size = plain_model.parts(model), Timer(), plain_model.BATCH_ROWS
    reader = tokenizer.tokenizer_from_bytes(parts.tokenizer)
    load = plain_model.load(parts)
    blank = np.zeros((size, parts.image_size, parts.image_size, 3), np.uint8)
    load(blank, np.ones((size, tokenizer.MAX_TOKENS), np.int32))  # traces the model
    to_pixels, predict = timer.timed("decode", plain_model.decode), timer.timed("predict", load)
    tokenize, results = timer.timed("tokenize", plain_model.tokenize), timer.timed("assemble", _plain_results)
    for at in range(0, len(titles), size):
        rows = slice(at, at + size)
        pixels = np.stack([to_pixels(photo, parts.image_size) for photo in data[rows]])
        results(parts.labels, *predict(pixels, tokenize(reader, titles[rows], descriptions[rows])))
    return {"fetch": 0.0, **timer.seconds}


def _plain_results(labels: Sequence[str], embedding: NDArray[np.float32], probabilities: NDArray[np.float32]) -> object:
    return plain_model.frame(plain_model.results(labels, embedding, probabilities))


def _fetched(uri: str, timer: Timer) -> bytes:
    fetched = timer.timed("fetch", fetch.read)(uri, [str(Path(uri).parent)], Limits().max_image_bytes)
    if fetched.data is None:
        raise RuntimeError(f"Expected the benchmark's own photo to be read. Received: {fetched.status} {uri}")
    return fetched.data


def _settings(engine: str, precision: str, batch_size: int) -> scorer.Settings:
    limits = Limits()
    return scorer.Settings(
        engine=engine,
        precision=precision,
        batch_size=batch_size,
        top_k=JobConfig.model_fields["top_k"].default,
        photo="bytes",
        image_roots=(),
        max_image_bytes=limits.max_image_bytes,
        max_image_pixels=limits.max_image_pixels,
    )


if __name__ == "__main__":
    main()
