"""`fashion-udf show` for spark-submit: `spark-submit jobs/show_tags.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import show

if __name__ == "__main__":
    cli.run(show.main)
