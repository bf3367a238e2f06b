"""Measure everything side by side and print it: `python -m tests.benchmark`, or `make bench`.

Runs are interleaved, so that a machine that slows down slows all rows. Exit code 1 and a line for each promise that is
broken: another category than the reference's in too many rows, or results that depend on batch size and order.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_udf.model import bundle
from tests.benchmark import catalogs, machine, measurement, tables
from tests.benchmark.measured_rows import ROWS, Options
from tests.benchmark.measurement import NIGHTS, QUIET, Measured
from tests.submit import REPOSITORY


def main(argv: Sequence[str] | None = None) -> int:
    """Parse arguments, measure, print the tables, write the JSON file; return the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    options = Options(
        rows=arguments.rows,
        runs=arguments.runs,
        bundle=arguments.bundle,
        master=arguments.master,
        night_rows=arguments.night_rows,
        quiet_rows=arguments.quiet_rows,
        work=arguments.work,
    )
    facts = machine.facts(REPOSITORY)
    model = bundle.read(options.bundle)
    _say(f"preparing {options.rows} products at {catalogs.WIDTH} x {catalogs.HEIGHT} in {options.work}")
    products = catalogs.prepare(options.work, options.rows, catalogs.shared_folder())
    found = measurement.measure(arguments.only, products, model, options, _say)
    _write(arguments.output, found, facts, model.model_version, options)
    sys.stdout.write(_printed(found, facts, model.model_version, options))
    for problem in found.problems:
        sys.stderr.write(f"error: {problem}\n")
    return 1 if found.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000, help="products in the catalog (2000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each row, of which the median counts (3)")
    parser.add_argument("--only", type=_names, default=(*ROWS, NIGHTS, QUIET), metavar="NAME,...", help=f"of {_ALL}")
    parser.add_argument("--bundle", default="builtin", help="builtin (default), PATH or PATH@<model_version>")
    parser.add_argument("--master", default="local[2]", help="where Spark runs, and the cores (local[2])")
    parser.add_argument("--night-rows", type=int, default=100_000, help="products of a night (100000)")
    parser.add_argument("--quiet-rows", type=int, default=1_000_000, help="products of a quiet night (1000000)")
    parser.add_argument("--work", type=Path, default=Path("build/bench"), help="catalogs and logs (build/bench)")
    parser.add_argument("--output", type=Path, default=Path("build/bench/bench.json"), help="the JSON file")
    return parser


_ALL = ", ".join((*ROWS, NIGHTS, QUIET))


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := sorted(set(names) - {*ROWS, NIGHTS, QUIET}):
        raise argparse.ArgumentTypeError(f"Expected names of {_ALL}. Received: {', '.join(unknown)}")
    return names


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _printed(found: Measured, facts: dict[str, object], version: str, options: Options) -> str:
    parts = [
        f"{options.rows} products, photos {catalogs.WIDTH} x {catalogs.HEIGHT}; {options.master}; median of "
        f"{options.runs} runs; model {version[:12]}\n{machine.line(facts)}\n",
        tables.speed(found.summaries, found.missing),
    ]
    if any(row.stages for row in found.summaries.values()):
        parts.append(tables.stage_times(found.summaries))
    if found.nights:
        parts.append(tables.night_times(found.nights))
    parts += [f"{line}\n" for line in found.remarks]
    return "\n".join(parts)


def _write(path: Path, found: Measured, facts: dict[str, object], version: str, options: Options) -> None:
    runs = [{key: value for key, value in dataclasses.asdict(run).items() if key != "tags"} for run in found.runs]
    tree = {
        "machine": facts,
        "model_version": version,
        "options": {**dataclasses.asdict(options), "work": str(options.work)},
        "rows": {name: dataclasses.asdict(summary) for name, summary in found.summaries.items()},
        "missing": found.missing,
        "nights": [dataclasses.asdict(night) for night in found.nights],
        "remarks": found.remarks,
        "problems": found.problems,
        "runs": runs,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
