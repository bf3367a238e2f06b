"""Tag a catalog: score every product that is new or changed, and publish the tags table.

    .venv/bin/spark-submit jobs/tag_catalog.py --config conf/nightly.yaml --set input.path=DIR --set output.path=DIR

Exit codes: 0 published, or nothing to do; 2 bad arguments, config or input; 3 an audit gate refused; 4 other runs
published first; 1 anything else. They are also in runs/<run_id>/outcome.json.
"""

from __future__ import annotations

import argparse
import sys

from fashion_udf import cli, config
from fashion_udf.pipeline import tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.spark import session


def main() -> None:
    """Parse arguments, tag, and say where the table is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, e.g. conf/nightly.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key; YAML value")
    parser.add_argument("--plan", action="store_true", help="check everything, print the counts, write nothing")
    parser.add_argument(
        "--retry-failed", action="store_true", help="score what failed again, also where nothing changed"
    )
    parser.add_argument("--force", action="store_true", help="score every product again")
    arguments = parser.parse_args()
    settings = config.load(config.JobConfig, arguments.config, arguments.set)
    scope = Scope(forced=arguments.force, retry_failed=arguments.retry_failed)
    spark = session.start("tag_catalog")
    run = tagging.forecast_summary if arguments.plan else tagging.tag_summary
    sys.stdout.write(run(spark, settings, scope))


if __name__ == "__main__":
    cli.run(main)
