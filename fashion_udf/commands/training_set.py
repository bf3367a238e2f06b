"""Write a labelled catalog as a training set: train, validation and test folders of flat Parquet.

    fashion-udf training-set --catalog DIR --output DIR

The catalog is what `fashion-udf import` writes with --images bytes: product_id, title, description, image, category.
Categories with fewer products than --min-products are left out and named: a model cannot learn, nor anyone measure,
what has one example. The split of the others does not depend on it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fashion_udf.errors import EnvironmentUnsupportedError, InputError
from fashion_udf.spark import session


def main(arguments: Sequence[str] | None = None, prog: str = "make_training_set.py") -> None:
    """Write the three folders and print their sizes; `arguments` defaults to the command line's."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--catalog", required=True, type=Path, help="labelled catalog Parquet with photo bytes")
    parser.add_argument("--output", required=True, type=Path, help="a new directory")
    parser.add_argument("--min-products", type=int, default=1, metavar="N", help="leave out rarer categories (1: none)")
    options = parser.parse_args(arguments)
    if not options.catalog.exists():
        raise InputError(f"Expected --catalog to exist. Received: {options.catalog}")
    training_set = _training_set()
    spark = session.start("make_training_set")
    catalog = spark.read.parquet(str(options.catalog))
    counts, rare = training_set.write(catalog, options.output, options.min_products)
    for name, count in counts.items():
        sys.stdout.write(f"{name}: {count} rows\n")
    for name, count in rare.items():
        sys.stdout.write(f"left out: {name}, {count} rows\n")


def _training_set() -> Any:
    """The module that writes training sets; the wheel holds it under a name that no other package has."""
    problems = []
    for package in ("fashion_training", "training"):
        try:
            return importlib.import_module(f"{package}.data.training_set")
        except ModuleNotFoundError as error:
            problems.append(str(error))
    raise EnvironmentUnsupportedError(
        f"Expected the package fashion_training, which the wheel of fashion-udf holds. Received: {'; '.join(problems)}"
    )
