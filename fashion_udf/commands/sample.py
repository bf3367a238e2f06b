"""Write a generated catalog to try the job with: drawn garments, and broken rows as in real catalogs. Needs no Spark.

    fashion-udf sample --output DIR [--products 500] [--seed 0] [--contact-sheet FILE]

The columns are product_id, title, description, image (bytes) and the true category. The same arguments give the same
rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_udf import cli
from fashion_udf.errors import InputError
from fashion_udf.samples import parquet
from fashion_udf.samples.catalog import CATEGORIES, broken_products, products


def _require_free(output: Path, sheet: Path | None) -> None:
    """Check the targets before anything is drawn, because drawing takes a while.

    Raises:
        InputError: `output` is a file or is not empty, or the folder for `sheet` does not exist.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"Expected a new or empty directory to write to. Received: {output}; name another one")
    if sheet and (sheet.is_dir() or not sheet.absolute().parent.is_dir()):
        raise InputError(f"Expected a file in an existing directory for --contact-sheet. Received: {sheet}")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"Expected a whole number, zero or more. Received: {text!r}")
    return int(text)


def main(arguments: Sequence[str] | None = None, prog: str = "make_sample_catalog.py") -> None:
    """Write the catalog and print the counts. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, help="a new or empty directory")
    parser.add_argument("--products", type=_count, default=500, help="number of valid products (default: 500)")
    parser.add_argument("--seed", type=_count, default=0, help="each seed gives other products (default: 0)")
    parser.add_argument("--contact-sheet", type=Path, metavar="FILE", help="also write an overview picture, as PNG")
    options = parser.parse_args(arguments)
    _require_free(options.output, options.contact_sheet)
    good = list(products(options.products, options.seed))
    odd = list(broken_products(options.seed))
    paths = parquet.write([*good, *odd], options.output)
    total = sum(path.stat().st_size for path in paths)
    sys.stdout.write(
        f"Wrote {len(good)} products of {len(CATEGORIES)} categories and {len(odd)} broken or odd ones to "
        f"{options.output}: {len(paths)} Parquet files, {total / 1e6:.1f} MB.\n"
    )
    if options.contact_sheet:
        parquet.contact_sheet(good).save(options.contact_sheet, "PNG")
        sys.stdout.write(f"Wrote an overview of the pictures to {options.contact_sheet}.\n")
