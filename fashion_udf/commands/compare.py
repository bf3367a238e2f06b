"""Compare a new bundle with the published table on a sample, before a run uses it. Nothing is written.

    fashion-udf compare --config conf/nightly.yaml --bundle build/bundle
    spark-submit jobs/compare_bundle.py --config conf/nightly.yaml --bundle build/bundle

Every comparison draws the same sample. The command reads its texts and photos from the catalog and scores them with the
new bundle. It compares the results with the published results of the model, if text and photo are still the same.

Exit codes: 0 compared; 2 bad arguments, config or input; 3 more rows changed category than --fail-above-flips allows;
1 any other failure.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from fashion_udf import cli, config
from fashion_udf.config import JobConfig
from fashion_udf.errors import GateRefusedError
from fashion_udf.pipeline import shadow, shadow_report
from fashion_udf.pipeline.shadow_report import Report
from fashion_udf.spark import session

_PAIRS = 5  # maximum of pairs of categories named in a message


def main(arguments: Sequence[str] | None = None, prog: str = "compare_bundle.py") -> None:
    """Compare, print the report, and refuse too many flips. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_config("YAML file of the job that publishes the table")
    parser.add_argument("--bundle", required=True, metavar="NEW", help="builtin, PATH or PATH@<model_version>")
    parser.add_argument("--sample", type=_rows, default=5000, metavar="ROWS", help="rows to compare (default: 5000)")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument(
        "--fail-above-flips", type=_share, metavar="SHARE", help="exit 3 if a larger share changes category, e.g. 0.05"
    )
    options = parser.parse_args(arguments)
    settings = config.load(JobConfig, options.config, config.parse_overrides(options.set))
    found = shadow.compare(session.start("compare_bundle", settings.s3), settings, options.bundle, options.sample)
    tree = json.dumps(found.as_dict(), sort_keys=True, indent=2, allow_nan=False)
    sys.stdout.write(f"{tree}\n" if options.json else shadow_report.text(found))
    if options.fail_above_flips is not None:
        require_few_flips(found, options.fail_above_flips)


def require_few_flips(found: Report, most: float) -> None:
    """Refuse a bundle that changes too many categories.

    Args:
        found: the report.
        most: maximum share of the compared rows that may change category.

    Raises:
        GateRefusedError: more rows change category, or no row could be compared.
    """
    if not found.compared:
        raise GateRefusedError(
            f"Expected rows to compare (--fail-above-flips). Received: none of {found.sampled} could be compared"
        )
    if found.flipped / found.compared > most:
        pairs = ", ".join(f"{flip.before!r} to {flip.after!r} {flip.rows}" for flip in found.flips[:_PAIRS])
        raise GateRefusedError(
            f"Expected at most {most:.1%} of the compared rows to change category (--fail-above-flips). "
            f"Received: {found.flipped / found.compared:.1%}, most of all {pairs}"
        )


def _rows(word: str) -> int:
    if (rows := int(word)) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more. Received: {word}")
    return rows


def _share(word: str) -> float:
    if not 0 <= (share := float(word)) <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1. Received: {word}")
    return share
