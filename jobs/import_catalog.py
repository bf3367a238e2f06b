"""`fashion-udf import` for spark-submit: `spark-submit jobs/import_catalog.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import import_catalog

if __name__ == "__main__":
    cli.run(import_catalog.main)
