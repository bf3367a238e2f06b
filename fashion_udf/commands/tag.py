"""Tag a catalog: score the new and changed products, and publish the tags table.

    fashion-udf tag --config conf/nightly.yaml --set input.path=DIR --set output.path=DIR
    spark-submit jobs/tag_catalog.py --config conf/nightly.yaml --set input.path=DIR --set output.path=DIR

Exit codes: 0 published, or nothing to do; 2 bad arguments, config or input; 3 an audit gate refused; 4 other runs
published first; 143 stopped by SIGTERM; 1 any other failure. runs/<run_id>/outcome.json has the exit code too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fashion_udf import cli, config, console
from fashion_udf.config import JobConfig
from fashion_udf.pages import run_report
from fashion_udf.pipeline import tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.pipeline.outcome import Outcome, Preview
from fashion_udf.spark import session


def main(arguments: Sequence[str] | None = None, prog: str = "tag_catalog.py") -> None:
    """Tag the catalog and print the table's place. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_arguments(parser)
    parser.add_argument(
        "--retry-failed", action="store_true", help="score failed products again, even if nothing changed"
    )
    parser.add_argument(
        "--recheck-photos", action="store_true", help="ask the hosts whether photos were replaced under their URL"
    )
    parser.add_argument("--force", action="store_true", help="score every product again")
    options = parser.parse_args(arguments)
    settings = config.load(JobConfig, options.config, config.parse_overrides(options.set))
    spark = session.start("tag_catalog", settings.s3)
    scope = Scope(forced=options.force, retry_failed=options.retry_failed, recheck_photos=options.recheck_photos)
    if options.plan:
        sys.stdout.write(preview_summary(tagging.preview(spark, settings, scope)))
    else:
        sys.stdout.write(summary(run_report.tag(spark, settings, scope)))


def add_run_arguments(parser: cli.ArgumentParser) -> None:
    """Add the arguments of every command that tags."""
    parser.add_config("YAML file, e.g. conf/nightly.yaml")
    parser.add_argument(
        "--plan", "--dry-run", action="store_true", help="check everything, print the counts, write nothing"
    )


def preview_summary(preview: Preview) -> str:
    """Return what a run would do, in rows, what it would cost, and how it reads the catalog."""
    costs = console.table(("cost", "about", "unit"), preview.costs())
    notes = "".join(f"{note}\n" for note in preview.notes)
    return f"{console.summary(preview.as_dict())}\n{notes}{costs}"


def summary(outcome: Outcome) -> str:
    """Return the counts of a run, and the table's place."""
    done = "published" if outcome.published else "nothing to do; the table is still"
    return f"{console.summary(outcome.counts.as_dict())}{done} snapshot {outcome.number}: {outcome.data_dir}\n"
