"""`fashion-udf backfill` for spark-submit: `spark-submit jobs/backfill.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import backfill

if __name__ == "__main__":
    cli.run(backfill.main)
