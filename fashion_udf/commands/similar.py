"""Find the products most similar to a product, or to a photo and a title, in the current tags table.

    fashion-udf similar --config conf/nightly.yaml --product 12345 --sheet out.jpg
    fashion-udf similar --config conf/nightly.yaml --image photo.jpg --title "Blue jeans"
    fashion-udf similar --config conf/nightly.yaml --queries queries.parquet --to answers.parquet

A table of queries has a column product_id, or the columns image (bytes) and title. The answers have the number of the
query's row, then position, similar_id, score and category.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf import cli, config, console
from fashion_udf.config import JobConfig
from fashion_udf.errors import InputError
from fashion_udf.files import replace_file
from fashion_udf.model import bundle as bundles
from fashion_udf.photos import small_photos
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.scoring.tagger import Tagger
from fashion_udf.similar import lookup, shown
from fashion_udf.similar.lookup import Lookup, Neighbour
from fashion_udf.similar.sheet import Tile, sheet
from fashion_udf.spark import session
from fashion_udf.table import s3_store


def main(arguments: Sequence[str] | None = None, prog: str = "similar.py") -> None:
    """Find and print the most similar products. `arguments` defaults to those of the command line."""
    options = _parser(prog).parse_args(arguments)
    settings = config.load(JobConfig, options.config, config.parse_overrides(options.set))
    s3_store.use(settings.s3)
    given = [options.product is not None, options.queries is not None, bool(options.image or options.title)]
    if given.count(True) != 1:
        raise InputError("Expected one of --product, --image with --title, and --queries. Received: none, or several")
    held = lookup.load(settings.output.path)
    if options.queries:
        _answer_all(held, settings, options)
        return
    started = time.monotonic()
    photo = options.image.read_bytes() if options.image else None
    if options.product is not None:
        found = held.of_product(options.product, options.k, anywhere=options.anywhere)
    else:
        row = pd.DataFrame({"title": [options.title], "image": [photo]}, dtype=object)
        (found,) = _embedded(held, settings, row, options)
    sys.stderr.write(f"{len(held.held)} products, {time.monotonic() - started:.2f} s\n")
    _show(found, settings, options, photo)


def _parser(prog: str) -> cli.ArgumentParser:
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_config("YAML file of the job that tags, e.g. conf/nightly.yaml")
    parser.add_argument("--product", metavar="ID", help="a product of the tags table")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a photo")
    parser.add_argument("--title", help="a title, with or without a photo")
    parser.add_argument("--queries", type=Path, metavar="FILE", help="a Parquet file of queries")
    parser.add_argument("--to", type=Path, metavar="FILE", help="Parquet file for the answers to --queries")
    parser.add_argument("--k", type=int, default=10, help="number of products to find (default: 10)")
    parser.add_argument("--anywhere", action="store_true", help="search all categories, not only that of the product")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a contact sheet of the photos, as JPEG")
    return parser


def _embedded(
    held: Lookup, settings: JobConfig, rows: pd.DataFrame, options: argparse.Namespace
) -> list[list[Neighbour]]:
    bundle = bundles.read(settings.bundle)
    held.require_model(bundle.model_version)
    tagged = Tagger(bundle, engine=settings.engine.name, precision=settings.engine.precision).tag(rows)
    found = []
    for row in tagged.to_dict("records"):
        if row["embedding"] is None:
            raise InputError(
                f"Expected a photo that can be decoded, or a title. Received: {row['status']} ({row['error']})"
            )
        found.append(held.of_vector(row["embedding"], options.k, None if options.anywhere else row["category"]))
    return found


def _answer_all(held: Lookup, settings: JobConfig, options: argparse.Namespace) -> None:
    if options.to is None:
        raise InputError("Expected --to FILE for the answers to --queries. Received: none")
    table = pq.read_table(options.queries)
    if "product_id" in table.column_names:
        ids = table["product_id"].cast(pa.string()).to_pylist()
        answers = [held.of_product(name, options.k, anywhere=options.anywhere) for name in ids]
    elif {"image", "title"} & set(table.column_names):
        answers = _embedded(held, settings, table.to_pandas(), options)
    else:
        raise InputError(
            f"Expected a column product_id, image or title in {options.queries}. Received: "
            f"{', '.join(table.column_names)}"
        )
    rows = [
        {
            "query": number,
            "position": place,
            "similar_id": each.product_id,
            "score": each.score,
            "category": each.category,
        }
        for number, found in enumerate(answers)
        for place, each in enumerate(found, 1)
    ]
    pq.write_table(pa.Table.from_pylist(rows, _ANSWERS), options.to)
    sys.stdout.write(f"{len(answers)} queries, {len(rows)} answers: {options.to}\n")


_ANSWERS = pa.schema(
    [
        ("query", pa.int64()),
        ("position", pa.int32()),
        ("similar_id", pa.string()),
        ("score", pa.float32()),
        ("category", pa.string()),
    ]
)


def _show(found: list[Neighbour], settings: JobConfig, options: argparse.Namespace, photo: bytes | None) -> None:
    ids = [*([options.product] if options.product is not None else []), *(each.product_id for each in found)]
    known = shown.read(session.start("similar", settings.s3), settings, ids, options.sheet is not None)
    nothing = shown.Shown(None, None)
    titles = {name: known.get(name, nothing).title or "" for name in ids}
    rows = [(each.product_id, each.score, each.category, titles[each.product_id]) for each in found]
    sys.stdout.write(console.table(("product_id", "score", "category", "title"), rows))
    if options.sheet:
        own = known.get(options.product, nothing)
        first = Tile(own.photo or photo, (options.product or "query", own.title or options.title or ""))
        tiles = [
            Tile(
                known.get(each.product_id, nothing).photo,
                (f"{each.score:.3f}  {each.product_id}", titles[each.product_id]),
            )
            for each in found
        ]
        with contextlib.closing(SandboxedDecoder(small_photos.SECONDS)) as decoder:
            replace_file(options.sheet.absolute(), sheet([[first, *tiles]], decoder))
        sys.stdout.write(f"contact sheet: {options.sheet}\n")
