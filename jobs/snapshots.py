"""Look at the published snapshots of a tags table. No Spark is needed: plain python runs this as well.

.venv/bin/spark-submit jobs/snapshots.py list --output DIR
.venv/bin/spark-submit jobs/snapshots.py path|show|verify --output DIR [--number N]
.venv/bin/spark-submit jobs/snapshots.py repair --output DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from fashion_udf import commit_log, job, report, snapshot
from fashion_udf.commit import Commit
from fashion_udf.errors import InputError
from fashion_udf.store import open_store


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one subcommand; `arguments` defaults to the command line's."""
    options = _parser().parse_args(arguments)
    newest = snapshot.current(options.output)
    if newest is None:
        raise InputError(
            f"Expected a published tags table in --output. Received: {options.output}, which has no commit"
        )
    number = getattr(options, "number", None)
    # Older commits are read only when asked for: one damaged file among them must not hide today's table.
    commit = newest if number is None else commit_log.find(open_store(options.output), number)
    if commit is None:
        raise InputError(f"Expected --number of a commit up to {newest.number}. Received: {number}")
    sys.stdout.write(COMMANDS[options.command](options.output, commit))


def _list(output: str, commit: Commit) -> str:
    rows = (
        (c.number, c.snapshot_id, c.time, c.rows, len(c.files), c.size, c.run_id, c.model_version[:12])
        for c in snapshot.read_log(output)
    )
    return report.table(("number", "snapshot", "time", "rows", "files", "bytes", "run", "model"), rows)


def _path(output: str, commit: Commit) -> str:
    return f"{snapshot.data_dir(output, commit)}\n"


def _show(output: str, commit: Commit) -> str:
    facts = (
        ("number", str(commit.number)),
        ("snapshot", commit.snapshot_id),
        ("parent", str(commit.parent)),
        ("time", commit.time),
        ("run", commit.run_id),
        ("model", commit.model_version),
        ("rows", str(commit.rows)),
        ("bytes", str(commit.size)),
        ("directory", str(snapshot.data_dir(output, commit))),
    )
    files = ((file.name, file.rows, file.size, file.sha256) for file in commit.files)
    return f"{report.table(('commit', ''), facts)}\n{report.table(('file', 'rows', 'bytes', 'sha256'), files)}"


def _verify(output: str, commit: Commit) -> str:
    snapshot.verify(output, commit)
    return (
        f"commit {commit.number}: {len(commit.files)} files, {commit.rows} rows, {commit.size} bytes are as committed\n"
    )


def _repair(output: str, commit: Commit) -> str:
    newest = snapshot.repair(output) or commit
    return f"tags/current and tags/current.sql name commit {newest.number}\n"


#: Subcommands: (output, the chosen commit) -> text to print.
COMMANDS: dict[str, Callable[[str, Commit], str]] = {
    "list": _list,
    "path": _path,
    "show": _show,
    "verify": _verify,
    "repair": _repair,
}

_HELP = {
    "list": "every commit, oldest first",
    "path": "the directory of a snapshot: resolve it once, then read '<directory>/*.parquet'",
    "show": "one commit and its files",
    "verify": "read a snapshot's files back and compare names, sizes, sha256 and row counts",
    "repair": "make tags/current and tags/current.sql name the newest commit again",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="snapshots.py", description="Look at the snapshots of a tags table.")
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _HELP.items():
        subcommand = subcommands.add_parser(name, help=text, description=text)
        subcommand.add_argument("--output", required=True, help="the output.path of the job that publishes the table")
        if name in ("path", "show", "verify"):
            subcommand.add_argument("--number", type=int, help="number of the commit (default: the newest)")
    return parser


if __name__ == "__main__":
    job.run(main)
