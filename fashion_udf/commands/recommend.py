"""Publish the products most like each product, from the embeddings of the current tags snapshot.

    fashion-udf recommend --config conf/similar.yaml --set output.path=DIR
    spark-submit jobs/recommend.py --config conf/similar.yaml --set output.path=DIR

Where the last lists were made with the same settings and model, only those are searched that can have changed.

Exit codes: 0 published, or nothing to do; 2 bad arguments, config or input; 4 another run published first; 143 stopped
by SIGTERM; 1 anything else. They are also in runs/<run_id>/outcome.json.
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

_POOLS = 20  # lines of a preview


def main(arguments: Sequence[str] | None = None, prog: str = "recommend.py") -> None:
    """Recommend, and say where the table is; `arguments` defaults to the command line's."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, e.g. conf/similar.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key; YAML value")
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
    """What a run would do: counts, and how the largest pools would be searched."""
    if not preview.pools:
        return f"{console.summary(preview.counts.as_dict())}\nthe last lists would be brought up to date\n"
    pools = console.table(("pool", "candidates", "lists", "search"), preview.rows()[:_POOLS])
    return f"{console.summary(preview.counts.as_dict())}\n{pools}{len(preview.pools)} pools\n"


def summary(done: Recommended) -> str:
    """The counts of a run, and where the table is."""
    what = "published" if done.published else "nothing to do; the lists are still"
    return f"{console.summary(done.counts.as_dict())}{what} snapshot {done.number} of similar: {done.data_dir}\n"
