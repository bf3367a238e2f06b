"""A full run of `recommend` and a night with few changes: `python -m tests.benchmark.similar_nights --rows 1000000`.

The embeddings are generated: 75 categories, the largest a quarter of all, each with clusters of about 200 products.
Processor seconds are printed beside those of the clock: other work on the machine does not change them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fashion_udf import console
from tests.benchmark import embeddings, scale
from tests.submit import REPOSITORY

_JOB = REPOSITORY / "jobs" / "recommend.py"
_ARGUMENTS = ["--config", str(REPOSITORY / "conf" / "similar.yaml"), "--set"]


def main(argv: Sequence[str] | None = None) -> int:
    """Publish, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.similar_nights", description=__doc__)
    parser.add_argument("--rows", type=int, default=250_000, help="products (250000); 1000000 need 2 GB of disk")
    parser.add_argument("--changed", type=float, default=0.01, help="share of the products that change (0.01)")
    parser.add_argument("--master", default="local[2]", help="of Spark (local[2])")
    parser.add_argument("--work", type=Path, help="a folder for the tables (a temporary one)")
    options = parser.parse_args(argv)
    found = []
    with tempfile.TemporaryDirectory(dir=options.work and options.work.absolute()) as directory:
        output = Path(directory) / "output"
        for changed in (0.0, options.changed):
            embeddings.publish(output, options.rows, changed=changed)
            taken = scale.run(_JOB, [*_ARGUMENTS, f"output.path={output}"], Path(directory) / "spark", options)
            java, seconds = taken.processor["driver's Java"], sum(taken.processor.values())
            share = seconds / found[0][1] if found else 1.0
            name = f"{changed:.0%} changed" if found else "all lists"
            sizes = [taken.bytes[part] >> 20 for part in ("executors", "driver's Java")]
            found.append((name, seconds, share, java, taken.clock, os.getloadavg()[0], *sizes))
    columns = ("run", "processor s", "of the first", "Java s", "clock s", "load", "largest Python MB", "Java MB")
    sys.stdout.write(console.table(columns, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
