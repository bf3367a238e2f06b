"""`fashion-udf review` for spark-submit, which it does not need: `jobs/review.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import review

if __name__ == "__main__":
    cli.run(review.main)
