"""`fashion-udf recommend` for spark-submit: `spark-submit jobs/recommend.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import recommend

if __name__ == "__main__":
    cli.run(recommend.main)
