"""`fashion-udf similar` for spark-submit: `spark-submit jobs/similar.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import similar

if __name__ == "__main__":
    cli.run(similar.main)
