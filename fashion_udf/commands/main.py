"""The console script `fashion-udf`: the name of a command, then the command's own arguments."""

from __future__ import annotations

import argparse
import importlib
import sys

import fashion_udf
from fashion_udf import cli

#: Command -> the file of this package that runs it, and what it does in a line. The file is loaded when the
#: command is chosen, so `--help` waits for none.
COMMANDS = {
    "tag": ("tag", "score what is new or changed in a catalog, and publish the tags table"),
    "backfill": ("backfill", "tag some products at once, on top of the published table"),
    "recommend": ("recommend", "publish the products most like each product"),
    "similar": ("similar", "the products nearest to a product, or to a photo and a title"),
    "audit-catalog": ("audit_catalog", "labels that look wrong, products listed twice, and odd ones out"),
    "compare": ("compare", "what a new bundle would change of the published table, on a sample"),
    "snapshots": ("snapshots", "list, compare, verify, pin, roll back, expire and repair snapshots"),
    "review": ("review", "decide on products that wait for a person, on a page of this machine"),
    "show": ("show", "counts and the least certain products of the current snapshot"),
    "import": ("import_catalog", "bring a public dataset in as flat Parquet"),
    "sample": ("sample", "write a generated catalog to try the job on"),
    "training-set": ("training_set", "write a labelled catalog as a training set"),
}


def main() -> None:
    """Run `fashion-udf COMMAND ARGUMENTS` and leave the process with its exit code."""
    listed = "\n".join(f"    {name:<14}{text}" for name, (_, text) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="fashion-udf",
        usage="fashion-udf COMMAND ...",
        description=f"Tag a fashion catalog: photos and text in, a published table of predictions out.\n\n{listed}",
        epilog="fashion-udf COMMAND --help lists the arguments of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fashion-udf {fashion_udf.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    command = parser.parse_args(sys.argv[1:2] or ["--help"]).command
    file, _ = COMMANDS[command]
    module = importlib.import_module(f"fashion_udf.commands.{file}")
    cli.run(lambda: module.main(sys.argv[2:], prog=f"fashion-udf {command}"))
