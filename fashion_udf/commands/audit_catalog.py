"""Find labels that look wrong, products listed twice, and outliers, by the neighbours of each product.

    fashion-udf audit-catalog --config conf/nightly.yaml --to findings
    fashion-udf audit-catalog --config conf/nightly.yaml --labels catalog --to findings

--labels is a table with product_id and the shop's own category. Without it, the categories of the tags table are
checked. The command writes mislabelled.parquet, duplicates.parquet and outliers.parquet, ranked, and index.html, which
shows the first of each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_udf import cli, config
from fashion_udf.config import JobConfig
from fashion_udf.errors import InputError
from fashion_udf.similar import audit_page, catalog_audit, duplicates, shown
from fashion_udf.similar.recommending import session_settings
from fashion_udf.similar.settings import RecommendConfig, Table
from fashion_udf.spark import session
from fashion_udf.table import s3_store


def main(arguments: Sequence[str] | None = None, prog: str = "audit_catalog.py") -> None:
    """Audit the catalog and print the counts. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_config("YAML file of the job that tags, e.g. conf/nightly.yaml")
    parser.add_argument("--labels", metavar="TABLE", help="a table with product_id and category")
    parser.add_argument("--format", default="parquet", help="format of --labels: parquet (default), csv, json or table")
    parser.add_argument("--near", type=float, default=duplicates.NEAR, metavar="SCORE", help=_NEAR)
    parser.add_argument("--to", required=True, metavar="DIR", help="a new directory of this machine")
    parser.add_argument("--top", type=int, default=60, help="findings of each kind on the page (default: 60)")
    options = parser.parse_args(arguments)
    if "://" in options.to:
        raise InputError(f"Expected a directory of this machine for --to. Received: {options.to}")
    job = config.load(JobConfig, options.config, config.parse_overrides(options.set))
    settings = RecommendConfig(output=job.output, s3=job.s3)
    labels = None
    if options.labels:
        labels = config.validate(Table, {"path": options.labels, "format": options.format}, "--labels")
    s3_store.use(job.s3)
    spark = session.start("audit_catalog", job.s3)
    with session.settings(spark, session_settings(spark, settings)):
        found = catalog_audit.audit(spark, settings, job, Path(options.to), labels, options.near)
        first = audit_page.read(found.directory, options.top)
        known = shown.read(spark, job, audit_page.ids(first))
    audit_page.write(found.directory / "index.html", first, known, found.rows)
    counts = ", ".join(f"{rows} {name}" for name, rows in found.rows.items())
    sys.stdout.write(f"{counts}: {found.directory / 'index.html'}\n")


_NEAR = f"minimum score of two products whose photos are compared (default: {duplicates.NEAR})"
