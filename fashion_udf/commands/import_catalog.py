"""Import a public dataset: write it as Parquet that jobs/tag_catalog.py and training can read.

    .venv/bin/spark-submit jobs/import_catalog.py --layout kaggle --source fashion-products --output catalog
    .venv/bin/spark-submit jobs/import_catalog.py --layout styles --source styles.csv --photos images --output catalog
    .venv/bin/spark-submit jobs/import_catalog.py --layout folders --source photos --output catalog --images uri

Layouts:
    kaggle   SOURCE/data.csv (image, description, display name, category) and a folder of photos beside it
    styles   SOURCE/styles.csv (id, gender, ... articleType, ... productDisplayName) and SOURCE/images; or the CSV file
    folders  SOURCE/<category>/<product id>.jpg

Columns written: product_id, title, description, image (bytes) or image_uri (absolute path), category. The layout styles
has no descriptions; it adds gender, base_colour, season and usage. Unusable CSV records are counted, printed and
written to --rejected, with the columns line, problem and raw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_udf import cli
from fashion_udf.catalog import importing, public_layouts
from fashion_udf.spark import session


def main(arguments: Sequence[str] | None = None, prog: str = "import_catalog.py") -> None:
    """Import one dataset and print the counts. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", required=True, choices=sorted(public_layouts.LAYOUTS))
    parser.add_argument("--source", required=True, type=Path, metavar="DIR", help="the dataset's folder or CSV file")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="a new directory")
    parser.add_argument("--images", choices=sorted(importing.PHOTOS), default="bytes", help="default: bytes")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photo folder, if not beside the CSV file")
    parser.add_argument("--rejected", type=Path, metavar="DIR", help="for unusable records (default: OUTPUT.rejected)")
    options = parser.parse_args(arguments)
    rejected = options.rejected or options.output.with_name(f"{options.output.name}.rejected")
    importing.require_new(options.output, rejected)
    spark = session.start("import_catalog")
    rows = public_layouts.read(spark, options.layout, options.source, options.photos)
    counts = importing.write(rows, options.images, options.output, rejected)
    for example in counts.examples:
        sys.stdout.write(f"rejected: {example}\n")
    if counts.rejected:
        sys.stdout.write(f"all {counts.rejected} rejected records: {rejected}\n")
    sys.stdout.write(
        f"{counts.read} rows read, {counts.written} written ({counts.with_photo} with photo), {counts.rejected} "
        f"rejected: {options.output}\n"
    )
