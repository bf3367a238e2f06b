"""Write labelled catalogs as a training set: train, validation and test folders of flat Parquet.

    fashion-udf training-set --catalog DIR --output DIR
    fashion-udf training-set --catalog DIR --catalog MORE --other "Lipstick,Lip Gloss,Ring" --output DIR

A catalog has the columns that `fashion-udf import` writes with --images bytes: product_id, title, description, image,
category, and attributes such as gender. If several catalogs have a product, the row of the first one is used, and the
others fill in attributes that it lacks. Products without a photo are only in train. They are left out if their title is
in validation or test, also in another colour.

Categories with fewer products than --min-products are left out and named: one example is too few to learn or to
measure. The split of the other categories does not depend on this.

With --decisions, the decisions of a job's review label the products: they replace the categories of the catalog. A
catalog without a category then gives only the products with a decision.

The categories in --other train and test novelty: how a model treats products of no known category. Their rows get the
category "other". Half of these categories, by a hash of their names, are only in train, the other half only in
validation and test, so that the model is tested on kinds that it has never seen.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_udf import cli
from fashion_udf.errors import EnvironmentUnsupportedError, InputError
from fashion_udf.spark import session
from fashion_udf.table import decisions
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def main(arguments: Sequence[str] | None = None, prog: str = "make_training_set.py") -> None:
    """Write the three folders and print their sizes. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_arguments(parser)
    options = parser.parse_args(arguments)
    for catalog in options.catalog:
        if not catalog.exists():
            raise InputError(f"Expected --catalog to exist. Received: {catalog}")
    training_set = _training_set()
    spark = session.start("make_training_set")
    labelled = [spark.read.parquet(str(catalog)) for catalog in options.catalog]
    if options.decisions:
        decided = decisions.categories(decisions.Decisions(open_store(options.decisions)).read())
        labelled = [with_decisions(catalog, decided) for catalog in labelled]
    written = training_set.write(
        labelled,
        options.output,
        training_set.Options(
            other=[name for names in options.other for name in names],
            held_out_share=options.held_out_share,
            split_text_only=options.split_text_only,
            min_products=options.min_products,
            max_validation=options.max_validation,
        ),
        options.attributes,
    )
    sys.stdout.write("".join(f"{line}\n" for line in _lines(written)))


def with_decisions(catalog: DataFrame, decided: Mapping[str, str]) -> DataFrame:
    """Replace the categories of a catalog by people's. A catalog without categories keeps only the decided products.

    Args:
        catalog: rows with `product_id` and, optionally, `category`.
        decided: category by product id.
    """
    from pyspark.sql import functions as F

    rows = catalog.sparkSession.createDataFrame([*decided.items()], "product_id string, decided string")
    joined = catalog.join(F.broadcast(rows), on="product_id", how="left" if "category" in catalog.columns else "inner")
    own = [F.col("category")] if "category" in catalog.columns else []
    return joined.withColumn("category", F.coalesce("decided", *own)).drop("decided")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--catalog", required=True, action="append", type=Path, help="folder of a labelled catalog; may be repeated")
    add("--output", required=True, type=Path, help="a new directory")
    add("--decisions", metavar="DIR", help="output.path of a job; the decisions of its review label the products")
    add("--min-products", type=int, default=1, metavar="N", help="leave out rarer categories (default: 1)")
    add("--max-validation", type=int, default=20_000, metavar="N", help="maximum of validation rows (default: 20000)")
    add("--attributes", type=_names, metavar="A,B", help="attribute columns (default: those that import writes)")
    add(
        "--other",
        type=_names,
        action="append",
        default=[],
        metavar="A,B",
        help="categories that become the category other",
    )
    add(
        "--held-out-share",
        type=float,
        default=0.5,
        metavar="S",
        help="share of these that train does not have (default: 0.5)",
    )
    add("--split-text-only", action="store_true", help="allow products without a photo in validation and test")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _lines(written: Any) -> Iterator[str]:
    """Yield lines about the written and omitted rows; `written` is a `training.data.training_set.Written`."""
    for name, count in written.rows.items():
        yield f"{name}: {count} rows"
    yield f"attributes: {', '.join(written.attributes) or 'none'}"
    for purpose, names in (("trained on", written.kinds.trained), ("for judging alone", written.kinds.held_out)):
        if names:
            yield f"other, {purpose}: {', '.join(names)}"
    if written.doubled:
        yield f"left out: {written.doubled} rows of products that an earlier catalog has"
    for reason, count in sorted(written.left_out.items()):
        yield f"left out: {count} rows {reason}"
    for name, count in written.rare.items():
        yield f"left out: {name}, {count} rows"


def _training_set() -> Any:
    """Return the module that writes training sets. The wheel holds it under another name, which is unique."""
    problems = []
    for package in ("fashion_training", "training"):
        try:
            return importlib.import_module(f"{package}.data.training_set")
        except ModuleNotFoundError as error:
            problems.append(str(error))
    raise EnvironmentUnsupportedError(
        f"Expected the package fashion_training, which the wheel of fashion-udf holds. Received: {'; '.join(problems)}"
    )
