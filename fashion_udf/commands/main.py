"""The console script `fashion-udf`: it runs a command by its name."""

from __future__ import annotations

import argparse
import importlib
import sys

import fashion_udf
from fashion_udf import cli

#: Command -> the file of this package that runs it, and its line of help. The file is loaded only when its command
#: runs, so that `--help` is fast.
COMMANDS = {
    "tag": ("tag", "score the new and changed products of a catalog, and publish the tags table"),
    "backfill": ("backfill", "tag some products now"),
    "recommend": ("recommend", "publish the most similar products of each product"),
    "similar": ("similar", "find the products most similar to a product, or to a photo and a title"),
    "audit-catalog": ("audit_catalog", "find labels that look wrong, products listed twice, and outliers"),
    "compare": ("compare", "show on a sample what a new bundle would change in the published table"),
    "snapshots": ("snapshots", "list, compare, verify, pin, roll back, expire and repair snapshots"),
    "review": ("review", "decide on products that wait for a person, in a browser on this machine"),
    "show": ("show", "print counts and the least certain products of the current snapshot"),
    "import": ("import_catalog", "import a public dataset as Parquet"),
    "sample": ("sample", "write a generated catalog to try the job with"),
    "training-set": ("training_set", "write a labelled catalog as a training set"),
}


def main() -> None:
    """Run `fashion-udf COMMAND ARGUMENTS` and end the process with its exit code."""
    listed = "\n".join(f"    {name:<14}{text}" for name, (_, text) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="fashion-udf",
        usage="fashion-udf COMMAND ...",
        description=f"Tag a fashion catalog: read photos and texts, publish a table of categories.\n\n{listed}",
        epilog="fashion-udf COMMAND --help lists the arguments of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fashion-udf {fashion_udf.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    command = parser.parse_args(sys.argv[1:2] or ["--help"]).command
    file, _ = COMMANDS[command]
    module = importlib.import_module(f"fashion_udf.commands.{file}")
    cli.run(lambda: module.main(sys.argv[2:], prog=f"fashion-udf {command}"))
