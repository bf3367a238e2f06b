"""Photos of S3 and of an https server, 30 ms away, beside the same photos as bytes.

`python -m tests.benchmark.remote_photos` prints them. One process scores, as a Python worker of one core does. The
servers are on this machine, on a core of their own where there are two. The three are measured in turn, a task each, so
that a machine that slows down slows all of them.

Two ratios are said. That of the clock is what a night feels, and is true on an idle machine alone. That of the worker's
processor time leaves out what other work takes, and also the time that the worker waits for photos. The processor time
of the servers is said beside them: a store elsewhere would take none of this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fashion_udf.config import Limits
from fashion_udf.model import bundle
from fashion_udf.model.engines import registry
from fashion_udf.photos.photo import Remote
from fashion_udf.pipeline.chunks import BATCH_ROWS, TASK_ROWS
from fashion_udf.s3 import S3Settings
from fashion_udf.scoring.batches import Batch
from fashion_udf.scoring.scorer import Scorer
from fashion_udf.scoring.tagger import usual_settings
from tests.benchmark import catalogs
from tests.benchmark.submitted import below

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
    """Seconds that a form took: on the clock, and of processors, in the worker and in the servers."""

    clock: float = 0.0
    processor: float = 0.0
    servers: float = 0.0


def measure(
    rows: int, reference: str, photos: Sequence[bytes], settings: S3Settings, port: int, servers: int
) -> dict[str, Spent]:
    """Return what each form took. `servers` is the process that serves the photos, with those below it."""
    model = bundle.read(reference)
    threads = Limits().fetch_threads
    remote = Remote((f"{HOST}:{port}",), True, settings)
    scoring = usual_settings(model, "openvino", "auto", 5, remote=remote)
    predict = registry.create("openvino", model, scoring.precision, threads=1)
    scorers = {form: Scorer(model, scoring, predict, threads=0 if form == "bytes" else threads) for form in FORMS}
    named: dict[str, Callable[[int], Any]] = {
        "bytes": lambda number: photos[number],
        "s3": lambda number: f"s3://photos/{number}.jpg",
        "https": lambda number: f"https://{HOST}:{port}/{number}.jpg",
    }
    spent = {form: Spent() for form in FORMS}
    for first in (-BATCH_ROWS, *range(0, rows, TASK_ROWS)):  # the batch before the first one warms up
        end = min(first + TASK_ROWS, rows) if first >= 0 else 0
        for form in FORMS:
            batches = [
                [named[form](number % len(photos)) for number in range(at, min(at + BATCH_ROWS, end))]
                for at in range(first, end, BATCH_ROWS)
            ]
            taken = _scored(scorers[form], batches, servers)
            if first >= 0:
                spent[form] = Spent(*map(sum, zip(astuple(spent[form]), astuple(taken), strict=True)))
    return spent


def _scored(scorer: Scorer, batches: Sequence[list[Any]], servers: int) -> Spent:
    """Score the batches of a task; return what that took.

    Raises:
        RuntimeError: a photo did not come.
    """
    clock, processor, before = time.perf_counter(), time.process_time(), _processor_seconds(servers)
    found = [*scorer.scores(Batch(["Red shirt"] * len(each), [None] * len(each), each) for each in batches)]
    taken = Spent(time.perf_counter() - clock, time.process_time() - processor, _processor_seconds(servers) - before)
    for scores in found:
        if {*scores["status"]} != {"ok"}:
            raise RuntimeError(f"Expected every photo. Received: {scores['error'].dropna().iloc[0]}")
    return taken


def _processor_seconds(root: int) -> float:
    """Return the processor time of a process and of those below it."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in below(root))
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


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
            found = measure(options.rows, options.bundle, photos, S3Settings(**settings), port, server.pid or 0)
        finally:
            here.close()
            there.close()
            server.join()
    base = found["bytes"]
    sys.stdout.write(f"{options.rows} photos of each form, load {os.getloadavg()[0]:.1f}\n")
    for form, spent in found.items():
        own, others = (1000 * seconds / options.rows for seconds in (spent.processor, spent.servers))
        sys.stdout.write(
            f"{form:6} {options.rows / spent.clock:7.1f} rows/s, {base.clock / spent.clock:.2f} of bytes by the clock, "
            f"{base.processor / spent.processor:.2f} by processor time; a row takes {own:5.2f} ms of processors, and "
            f"{others:5.2f} ms of the servers'\n"
        )
    return int(max(spent.clock for spent in found.values()) > base.clock / 0.9)


def _stay_on(core: int) -> None:
    """Keep this process, and those that it starts, on a core of its own, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[core]})


if __name__ == "__main__":
    sys.exit(main())
