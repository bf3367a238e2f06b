"""Write the fingerprints that a night plans with; a job for `quiet_nights`."""

from __future__ import annotations

import argparse

from fashion_udf import cli, config
from fashion_udf.config import JobConfig
from fashion_udf.pipeline import planning
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.spark import session
from fashion_udf.table import paths


def main() -> None:
    """Write `product_id` and `fingerprint` of every row of a catalog to a new folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    settings = config.load(JobConfig, arguments.config, config.parse_overrides(arguments.set))
    run = planning.start(session.start("fingerprints"), settings, Scope(), paths.new_run_id())
    run.rows.select("product_id", "fingerprint").write.parquet(arguments.output)


if __name__ == "__main__":
    cli.run(main)
