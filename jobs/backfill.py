"""Tag some products at once, on top of the published table; all other rows stay as they are.

    .venv/bin/spark-submit jobs/backfill.py --config conf/nightly.yaml --set ... --ids a,b,c

Without a selection: the products that are not in the table yet. Several selections together choose what any of them
chooses. A product whose text, photo and model are those of its published row is left alone, but for --force.

Exit codes are those of jobs/tag_catalog.py.
"""

from __future__ import annotations

import argparse
import sys

from fashion_udf import cli, config
from fashion_udf.pipeline import selection, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.spark import session


def main() -> None:
    """Parse arguments, tag the selected products, and say where the table is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, e.g. conf/nightly.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key; YAML value")
    parser.add_argument("--ids", default="", metavar="A,B,C", help="product ids")
    parser.add_argument("--ids-file", metavar="FILE", help="a file with one product id a line")
    parser.add_argument("--category", action="append", default=[], help="products published in this category")
    parser.add_argument("--status", action="append", default=[], help="products published with this status")
    parser.add_argument(
        "--since", metavar="TIME", help="products tagged at this time or later, e.g. 2026-11-25T20:00:00Z"
    )
    parser.add_argument("--plan", action="store_true", help="check everything, print the counts, write nothing")
    parser.add_argument("--force", action="store_true", help="score the selected products whatever their fingerprint")
    arguments = parser.parse_args()
    settings = config.load(config.JobConfig, arguments.config, arguments.set)
    chosen = selection.Selection(
        ids=selection.ids(arguments.ids, arguments.ids_file),
        categories=tuple(arguments.category),
        statuses=tuple(arguments.status),
        since=arguments.since,
    )
    spark = session.start("backfill")
    scope = Scope(selected=selection.select(spark, settings, chosen), forced=arguments.force)
    run = tagging.forecast_summary if arguments.plan else tagging.tag_summary
    sys.stdout.write(run(spark, settings, scope))


if __name__ == "__main__":
    cli.run(main)
