"""`fashion-udf compare` for spark-submit: `spark-submit jobs/compare_bundle.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import compare

if __name__ == "__main__":
    cli.run(compare.main)
