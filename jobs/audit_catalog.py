"""`fashion-udf audit-catalog` for spark-submit: `spark-submit jobs/audit_catalog.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import audit_catalog

if __name__ == "__main__":
    cli.run(audit_catalog.main)
