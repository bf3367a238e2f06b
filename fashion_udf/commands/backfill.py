"""Tag some products now, and publish them with the other rows of the published table, which stay as they are.

    fashion-udf backfill --config conf/nightly.yaml --set ... --ids a,b,c
    spark-submit jobs/backfill.py --config conf/nightly.yaml --set ... --ids a,b,c

Without a selection, the command tags the products that are not in the table yet. Several selections are combined with
OR. An id that the catalog lacks is an error, and so is a category without a published product. A product whose text,
photo and model did not change is skipped, unless --force is given.

The exit codes are those of `tag`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fashion_udf import cli, config
from fashion_udf.commands.tag import add_run_arguments, preview_summary, summary
from fashion_udf.config import JobConfig
from fashion_udf.pages import run_report
from fashion_udf.pipeline import selection, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.spark import session


def main(arguments: Sequence[str] | None = None, prog: str = "backfill.py") -> None:
    """Tag the selected products and print the table's place. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_arguments(parser)
    parser.add_argument("--ids", default="", metavar="A,B,C", help="product ids")
    parser.add_argument("--ids-file", metavar="FILE", help="a file with one product id on each line")
    parser.add_argument("--category", action="append", default=[], help="products published in this category")
    parser.add_argument("--status", action="append", default=[], help="products published with this status")
    parser.add_argument(
        "--since", metavar="TIME", help="products tagged at this time or later, e.g. 2026-11-25T20:00:00Z"
    )
    parser.add_argument("--ignore-missing", action="store_true", help="only log ids and categories that do not exist")
    parser.add_argument("--force", action="store_true", help="score the selected products, even if nothing changed")
    options = parser.parse_args(arguments)
    settings = config.load(JobConfig, options.config, config.parse_overrides(options.set))
    chosen = selection.Selection(
        ids=selection.ids(options.ids, options.ids_file),
        categories=tuple(options.category),
        statuses=tuple(options.status),
        since=options.since,
    )
    spark = session.start("backfill", settings.s3)
    selected = selection.select(spark, settings, chosen, options.ignore_missing)
    scope = Scope(selected=selected, forced=options.force)
    if options.plan:
        sys.stdout.write(preview_summary(tagging.preview(spark, settings, scope)))
    else:
        sys.stdout.write(summary(run_report.tag(spark, settings, scope)))
