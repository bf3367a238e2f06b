"""`fashion-udf sample` for spark-submit: `spark-submit jobs/make_sample_catalog.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import sample

if __name__ == "__main__":
    cli.run(sample.main)
