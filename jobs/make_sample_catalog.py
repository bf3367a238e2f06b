"""Write a generated catalog to try the job on: drawn garments, and rows as broken as real ones get. Needs no Spark.

    .venv/bin/python jobs/make_sample_catalog.py --output DIR [--products 500] [--seed 0] [--contact-sheet FILE]

The columns are product_id, title, description, image (bytes) and category, the true one. The same arguments give the
same rows.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fashion_udf import cli
from fashion_udf.errors import InputError
from fashion_udf.samples.catalog import CATEGORIES, Product, broken_products, products

FILES = 4
ROW_GROUP = 64  # rows; a reader holds one row group of photos at a time

SAMPLE = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("image", pa.binary()),
        pa.field("category", pa.string()),
    ]
)


def write(rows: Sequence[Product], output: Path) -> list[Path]:
    """Write the rows to `FILES` Parquet files, in turn, so that every file has its share of the broken ones."""
    output.mkdir(parents=True, exist_ok=True)
    paths = [output / f"part-{number:05d}.parquet" for number in range(FILES)]
    for number, path in enumerate(paths):
        table = pa.Table.from_pylist([asdict(row) for row in rows[number::FILES]], SAMPLE)
        pq.write_table(table, path, row_group_size=ROW_GROUP, compression="zstd")
    return paths


def contact_sheet(rows: Sequence[Product], across: int = 8, size: int = 160) -> Image.Image:
    """The first `across` pictures of every category, one category a line: RGB, `size` pixels each."""
    sheet = Image.new("RGB", (across * size, len(CATEGORIES) * size), "white")
    for line, category in enumerate(CATEGORIES):
        photos = [row.image for row in rows if row.category == category and row.image][:across]
        for column, photo in enumerate(photos):
            with Image.open(io.BytesIO(photo)) as picture:
                sheet.paste(picture.resize((size, size)), (column * size, line * size))
    return sheet


def _require_free(output: Path, sheet: Path | None) -> None:
    """Refuse before anything is drawn: that takes a while.

    Raises:
        InputError: `output` is a file or has something in it, or the folder for `sheet` does not exist.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"Expected a new or empty directory to write to. Received: {output}; name another one")
    if sheet and (sheet.is_dir() or not sheet.absolute().parent.is_dir()):
        raise InputError(f"Expected a file in an existing directory for --contact-sheet. Received: {sheet}")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"Expected a whole number, zero or more. Received: {text!r}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse arguments, write the catalog and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, help="a new or empty directory")
    parser.add_argument("--products", type=_count, default=500, help="well-formed products to draw (500)")
    parser.add_argument("--seed", type=_count, default=0, help="another number draws other products (0)")
    parser.add_argument("--contact-sheet", type=Path, metavar="FILE", help="also write an overview picture, as PNG")
    arguments = parser.parse_args(argv)
    _require_free(arguments.output, arguments.contact_sheet)
    good = list(products(arguments.products, arguments.seed))
    odd = list(broken_products(arguments.seed))
    paths = write([*good, *odd], arguments.output)
    total = sum(path.stat().st_size for path in paths)
    sys.stdout.write(
        f"Wrote {len(good)} products of {len(CATEGORIES)} categories and {len(odd)} broken or odd ones to "
        f"{arguments.output}: {len(paths)} Parquet files, {total / 1e6:.1f} MB.\n"
    )
    if arguments.contact_sheet:
        contact_sheet(good).save(arguments.contact_sheet, "PNG")
        sys.stdout.write(f"Wrote an overview of the pictures to {arguments.contact_sheet}.\n")


if __name__ == "__main__":
    cli.run(main)
