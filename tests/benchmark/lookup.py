"""Seconds of one query among many products: `python -m tests.benchmark.lookup --rows 100000`.

load             the embeddings of the current tags, into this process
product          the nearest of one product, in its category and anywhere: the mean of 20
photo, first     the nearest of a photo and a title; the first loads the model
photo            the mean of ten more
"""

from __future__ import annotations

import argparse
import io
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fashion_udf import console
from fashion_udf.model import bundle as bundles
from fashion_udf.samples import catalog
from fashion_udf.scoring.tagger import Tagger
from fashion_udf.similar import lookup
from tests.benchmark import embeddings


def main() -> None:
    """Generate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="products (100000)")
    parser.add_argument("--bundle", default="builtin", help="of the photo's embedding (builtin)")
    parser.add_argument("--work", type=Path, default=Path("build/bench/lookup"), help="the table (build/bench/lookup)")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    embeddings.publish(options.work, options.rows)
    found: list[tuple[object, ...]] = []

    def timed(name: str, work: Callable[[int], Any], times: int = 1) -> Any:
        started, used, result = time.monotonic(), time.process_time(), None
        for number in range(times):
            result = work(number)
        found.append((name, (time.monotonic() - started) / times, (time.process_time() - used) / times))
        return result

    held = timed("load", lambda _: lookup.load(str(options.work)))
    ids = held.held.ids.to_pylist()
    timed("product", lambda n: held.of_product(ids[n * 37]), 20)
    timed("product, anywhere", lambda n: held.of_product(ids[n * 37], anywhere=True), 20)
    file = io.BytesIO()
    catalog.garment("Jeans", np.random.default_rng(1)).save(file, "JPEG")
    tagger = Tagger(bundles.read(options.bundle), precision="auto")
    row = pd.DataFrame({"title": ["Blue jeans"], "image": [file.getvalue()]}, dtype=object)

    def photo(_: int) -> Any:
        return held.of_vector(tagger.tag(row)["embedding"][0])

    timed("photo, first", photo)
    timed("photo", photo, 10)
    sys.stdout.write(console.table(("step", "seconds", "of processor"), found))
    sys.stdout.write(
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB at most, {options.rows} products\n"
    )


if __name__ == "__main__":
    main()
