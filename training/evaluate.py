"""Measure a bundle on labelled products: `python -m training.evaluate --bundle builtin --data DIR --report DIR`.

The bundle runs with the same decoder, tokenizer and engine as scoring: with photo and text (both), with only the photo
(image) and with only the text (text). The command prints accuracy, precision, recall and F1, top-3 accuracy,
calibration error and decisions; the published figures, and a baseline that only counts words; the robustness set (the
same products with texts as other shops write them); parents, attributes and unknown products; and the properties that a
product shares with its nearest neighbours. `--titles FILE.csv` also measures the titles of a file, without photos. The
report adds a table by category, pictures, the most confident mistakes and probably wrong labels, in one HTML file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fashion_udf import cli
from fashion_udf.model.engines import registry

from .evaluation import evaluate_bundle, report, tables


def main() -> None:
    """Parse arguments, evaluate, print the tables and write the requested files."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.neighbours < 0:
        parser.error(f"Expected --neighbours to be 0 or more. Received: {arguments.neighbours}")
    for folder in (arguments.report, arguments.json and arguments.json.parent):
        if folder:  # created first, because a folder that cannot be written must fail before the long evaluation
            folder.mkdir(parents=True, exist_ok=True)
    options = evaluate_bundle.Options(
        bundle=arguments.bundle,
        data=arguments.data,
        split=arguments.split,
        engine=arguments.engine,
        precision=arguments.precision,
        neighbours=arguments.neighbours,
        baseline=not arguments.no_baseline,
        titles=arguments.titles,
    )
    evaluated = evaluate_bundle.evaluate(options)
    first, *others = tables.tables(evaluated.figures)
    sys.stdout.write(first.as_text())  # without a title, so that the first line of the output has the columns
    for table in others:
        sys.stdout.write(f"\n{table.title}\n\n{table.as_text()}")
    if arguments.json:
        arguments.json.write_text(report.as_json(evaluated), encoding="utf-8")
    if arguments.report:
        sys.stdout.write(f"\n{report.write(arguments.report, evaluated)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(
        prog="python -m training.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="builtin", help="builtin (default), PATH or PATH@<model_version>")
    parser.add_argument("--data", required=True, type=Path, help="a training set from fashion-udf training-set")
    parser.add_argument(
        "--split", default="test", choices=["train", "validation", "test"], help="the rows to measure (default: test)"
    )
    parser.add_argument("--engine", default="openvino", choices=sorted(registry.ENGINES), help="default: openvino")
    parser.add_argument("--precision", default="f32", help="one that the bundle offers for the engine (default: f32)")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a page, pictures, CSV and JSON into DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument(
        "--neighbours",
        type=int,
        default=10,
        metavar="N",
        help="number of nearest products of the train split (default: 10); 0 skips the pass over that split",
    )
    parser.add_argument(
        "--titles", type=Path, metavar="FILE", help="also measure a CSV file with the columns title and category"
    )
    parser.add_argument("--no-baseline", action="store_true", help="leave out TF-IDF and logistic regression on titles")
    return parser


if __name__ == "__main__":
    cli.run(main)
