"""Photos of S3 and of an https server, 30 ms away, beside the same photos as bytes.

`python -m tests.benchmark.remote_photos` prints them. One process scores, as a Python worker of one core does. The
servers are on this machine, in a process and on a core of their own. The three are measured in turn, a batch each, so
that a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fashion_udf.config import Limits
from fashion_udf.model import bundle
from fashion_udf.model.engines import registry
from fashion_udf.photos.photo import Remote
from fashion_udf.pipeline.chunks import BATCH_ROWS
from fashion_udf.s3 import S3Settings
from fashion_udf.scoring.scorer import Scorer
from fashion_udf.scoring.tagger import usual_settings
from tests.benchmark import catalogs

LATENCY = 0.03  # seconds, of each answer
HOST = "localhost"
FORMS = ("bytes", "s3", "https")
DISTINCT = 200  # photos; those of a larger catalog repeat them


def serve(photos: Sequence[bytes], directory: Path, started: Connection) -> None:
    """Serve the photos from S3 and by https until the parent closes the pipe."""
    from tests.servers import s3, web

    _stay_on(1)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(s3.serving())
        for number, photo in enumerate(photos):
            store.put(f"{number}.jpg", photo)
        store.proxy.latency = LATENCY
        answers = {f"/{number}.jpg": web.Answer(photo) for number, photo in enumerate(photos)}
        host = stack.enter_context(web.serving(answers, web.certificate(directory, HOST), LATENCY))
        started.send((store.settings.model_dump(), host.port))
        with contextlib.suppress(EOFError):
            started.recv()


@dataclass
class Spent:
    """Seconds that a form took: on the clock, and of processors, which other work on the machine does not change."""

    clock: float = 0.0
    processor: float = 0.0


def measure(rows: int, reference: str, photos: Sequence[bytes], settings: S3Settings, port: int) -> dict[str, Spent]:
    """Return what each form took."""
    model = bundle.read(reference)
    threads = Limits().fetch_threads
    remote = Remote((f"{HOST}:{port}",), True, settings)
    scoring = usual_settings(model, "openvino", "auto", 5, remote=remote)
    predict = registry.create("openvino", model, scoring.precision, threads=1)
    scorers = {form: Scorer(model, scoring, predict, threads=0 if form == "bytes" else threads) for form in FORMS}
    spent = {form: Spent() for form in FORMS}
    for first in range(-BATCH_ROWS, rows, BATCH_ROWS):  # the batch before the first one warms up
        numbers = [number % len(photos) for number in range(first, min(first + BATCH_ROWS, rows))]
        named: dict[str, list[Any]] = {
            "bytes": [photos[number] for number in numbers],
            "s3": [f"s3://photos/{number}.jpg" for number in numbers],
            "https": [f"https://{HOST}:{port}/{number}.jpg" for number in numbers],
        }
        for form in FORMS:
            clock, processor = time.perf_counter(), time.process_time()
            scores = scorers[form].score(["Red shirt"] * len(numbers), [None] * len(numbers), named[form])
            if first >= 0:
                spent[form].clock += time.perf_counter() - clock
                spent[form].processor += time.process_time() - processor
            if {*scores["status"]} != {"ok"}:
                raise RuntimeError(f"Expected every photo by {form}. Received: {scores['error'].iloc[0]}")
    return spent


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 if a form is slower than 90 % of bytes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.remote_photos", description=__doc__)
    parser.add_argument("--rows", type=int, default=5000, help="photos of each form (5000)")
    parser.add_argument("--bundle", default="builtin", help="builtin (default), PATH or PATH@<model_version>")
    options = parser.parse_args(argv)
    os.environ.update(AWS_ACCESS_KEY_ID="benchmark", AWS_SECRET_ACCESS_KEY="benchmark")
    items = catalogs.generated(min(DISTINCT, options.rows))
    photos = [catalogs.enlarged(item.photo) for item in items if item.photo]
    with tempfile.TemporaryDirectory() as directory:
        os.environ["SSL_CERT_FILE"] = str(Path(directory) / "certificate.pem")
        here, there = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(photos, Path(directory), there))
        server.start()
        try:
            settings, port = here.recv()
            _stay_on(0)
            found = measure(options.rows, options.bundle, photos, S3Settings(**settings), port)
        finally:
            here.close()
            there.close()
            server.join()
    base = found["bytes"]
    for form, spent in found.items():
        speed, processor = base.clock / spent.clock, 1000 * spent.processor / options.rows
        rate = options.rows / spent.clock
        sys.stdout.write(
            f"{form:6} {rate:7.1f} rows/s, {speed:.2f} of bytes, {processor:6.1f} ms of processors a row\n"
        )
    return int(max(spent.clock for spent in found.values()) > base.clock / 0.9)


def _stay_on(core: int) -> None:
    """Keep this process, and those that it starts, on a core of its own, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[core]})


if __name__ == "__main__":
    sys.exit(main())
