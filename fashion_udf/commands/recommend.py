"""Publish the most similar products of each product, by the embeddings of the current tags snapshot.

    fashion-udf recommend --config conf/similar.yaml --set output.path=DIR
    spark-submit jobs/recommend.py --config conf/similar.yaml --set output.path=DIR

If the published lists have the same settings and model, only lists that can have changed are computed.

Exit codes: 0 published, or nothing to do; 2 bad arguments, config or input; 4 another run published first; 143 stopped
by SIGTERM; 1 any other failure. runs/<run_id>/outcome.json has the exit code too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fashion_udf import cli, config, console
from fashion_udf.similar import recommending
from fashion_udf.similar.outcome import Preview, Recommended
from fashion_udf.similar.settings import RecommendConfig
from fashion_udf.spark import session

_POOLS = 20  # maximum of pools in a preview


def main(arguments: Sequence[str] | None = None, prog: str = "recommend.py") -> None:
    """Publish the lists and print the table's place. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_config("YAML file, e.g. conf/similar.yaml")
    parser.add_argument(
        "--plan", "--dry-run", action="store_true", help="check everything, print the counts, write nothing"
    )
    options = parser.parse_args(arguments)
    settings = config.load(RecommendConfig, options.config, config.parse_overrides(options.set))
    spark = session.start("recommend", settings.s3)
    if options.plan:
        sys.stdout.write(preview_summary(recommending.preview(spark, settings)))
    else:
        sys.stdout.write(summary(recommending.recommend(spark, settings)))


def preview_summary(preview: Preview) -> str:
    """Return what a run would do: counts, and how the largest pools would be searched."""
    if not preview.pools:
        return f"{console.summary(preview.counts.as_dict())}\nthe published lists would be updated\n"
    pools = console.table(("pool", "candidates", "lists", "search"), preview.rows()[:_POOLS])
    return f"{console.summary(preview.counts.as_dict())}\n{pools}{len(preview.pools)} pools\n"


def summary(done: Recommended) -> str:
    """Return the counts of a run, and the table's place."""
    what = "published" if done.published else "nothing to do; the lists are still"
    return f"{console.summary(done.counts.as_dict())}{what} snapshot {done.number} of similar: {done.data_dir}\n"
