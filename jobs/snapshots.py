"""`fashion-udf snapshots` for spark-submit: `spark-submit jobs/snapshots.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import snapshots

if __name__ == "__main__":
    cli.run(snapshots.main)
