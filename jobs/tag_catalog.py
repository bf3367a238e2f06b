"""`fashion-udf tag` for spark-submit: `spark-submit jobs/tag_catalog.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import tag

if __name__ == "__main__":
    cli.run(tag.main)
