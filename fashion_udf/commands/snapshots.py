"""List and manage the snapshots of a tags table, and of the lists of similar products beside it.

The commands start no Spark, with one exception: if a table of a metastore (`publish.table`) shows the snapshots,
rollback, publish and repair update it. Run these by spark-submit, with the settings of the job. DIR is a path or a URI.
Every subcommand takes `--config FILE`, the file of the job, for its section `s3`.

fashion-udf snapshots list [--json] --output DIR
fashion-udf snapshots path|show|verify --output DIR [--number N]
fashion-udf snapshots diff A B --output DIR
fashion-udf snapshots pin --number N [--note TEXT] --output DIR
fashion-udf snapshots unpin --number N --output DIR
fashion-udf snapshots rollback --to N --output DIR
fashion-udf snapshots expire --older-than 30d --keep 7 [--grace 24h] [--dry-run] --output DIR
fashion-udf snapshots publish --run ID --accept GATE --output DIR
fashion-udf snapshots repair --output DIR

list, path, show, verify, pin, unpin and rollback take `--table similar`, the lists of similar products; expire and
repair are of both tables.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence

from fashion_udf import cli, console
from fashion_udf.commands import job_options
from fashion_udf.errors import SnapshotError
from fashion_udf.pipeline import refused
from fashion_udf.spark import session
from fashion_udf.table import diff, followers, listing, paths, pins, retention, s3_store, snapshot
from fashion_udf.table.commit import Commit
from fashion_udf.table.rollback import rollback


def main(arguments: Sequence[str] | None = None, prog: str = "snapshots.py") -> None:
    """Run one subcommand. `arguments` defaults to those of the command line."""
    options = _parser(prog).parse_args(arguments)
    job_options.use_s3(options)
    sys.stdout.write(COMMANDS[options.command][0](options))


def _chosen(options: Namespace, number: int | None) -> Commit:
    output, table = options.output, options.table
    return snapshot.newest(output, table) if number is None else snapshot.numbered(output, number, table)


def _require_not_expired(options: Namespace, commit: Commit) -> None:
    # The current snapshot never expires, so its tombstone is not read: a damaged one must not hide the snapshot.
    if commit.snapshot_id != snapshot.newest(options.output, options.table).snapshot_id:
        pins.require_not_expired(options.output, commit, options.table)


def _list(options: Namespace) -> str:
    snapshot.newest(options.output, options.table)
    listed = _facts(options)
    return _json([fact.tree() for fact in listed]) if options.json else listing.text(listed)


def _facts(options: Namespace) -> list[listing.Facts]:
    return listing.facts(options.output, snapshot.read_log(options.output, options.table), options.table)


def _path(options: Namespace) -> str:
    commit = _chosen(options, options.number)
    _require_not_expired(options, commit)
    return f"{paths.data_dir(options.output, commit, options.table)}\n"


def _show(options: Namespace) -> str:
    (fact,) = listing.facts(options.output, [commit := _chosen(options, options.number)], options.table)
    files = [dataclasses.asdict(file) for file in commit.files]
    if options.json:
        return _json({**fact.tree(), "files": files})
    lines = {name: str(value) for name, value in fact.tree().items() if name not in ("current", "expired", "pins")}
    lines["state"] = fact.state
    columns = ("name", "rows", "size", "sha256")
    table = console.table(columns, [[file[name] for name in columns] for file in files])
    return f"{console.table(('commit', ''), lines.items())}\n{table}"


def _diff(options: Namespace) -> str:
    before, after = _chosen(options, options.before), _chosen(options, options.after)
    for commit in (before, after):
        _require_not_expired(options, commit)
    changes = diff.diff(options.output, before, after, options.rows)
    return _json(dataclasses.asdict(changes)) if options.json else diff.text(changes)


def _verify(options: Namespace) -> str:
    if not options.all:
        return _verified(options, _chosen(options, options.number))
    snapshot.newest(options.output, options.table)
    lines, problems = [], []
    for fact in _facts(options):
        commit = fact.commit
        if fact.expired:
            lines.append(f"commit {commit.number}: its snapshot has expired\n")
            continue
        try:
            lines.append(_verified(options, commit))
        except SnapshotError as error:
            problems.append(str(error))
    if problems:
        raise SnapshotError(" | ".join(problems))
    return "".join(lines)


def _verified(options: Namespace, commit: Commit) -> str:
    _require_not_expired(options, commit)
    try:
        snapshot.verify(options.output, commit, options.table)
    except SnapshotError:
        _require_not_expired(options, commit)  # the snapshot may have expired while its files were read
        raise
    return (
        f"commit {commit.number}: {len(commit.files)} files, {commit.rows} rows, {commit.size} bytes are as committed\n"
    )


def _pin(options: Namespace) -> str:
    commit = _chosen(options, options.number)
    created = pins.pin(options.output, commit, options.note, of=options.table)
    return f"snapshot {commit.snapshot_id} {'is' if created else 'was already'} pinned\n"


def _unpin(options: Namespace) -> str:
    commit = _chosen(options, options.number)
    removed = pins.unpin(options.output, commit, options.all, of=options.table)
    text = f"snapshot {commit.snapshot_id} {'is no longer' if removed else 'was not'} pinned"
    if left := pins.pins(options.output, options.table).get(commit.snapshot_id):
        tables = ", ".join(sorted({str(pin.table) for pin in left}))
        text += f", but {tables} still shows and pins it: --all removes that pin too"
    return f"{text}\n"


def _rollback(options: Namespace) -> str:
    snapshot.newest(options.output, options.table)
    commit = rollback(options.output, options.to, options.table)
    moved = _moved(options) if options.table == paths.TAGS else ""
    return f"commit {commit.number} names snapshot {commit.snapshot_id}, {commit.rows} rows\n{moved}"


def _expire(options: Namespace) -> str:
    snapshot.newest(options.output)
    policy, now = retention.Policy(options.older_than, options.keep, options.grace), time.time()
    problems: list[str] = []
    if options.dry_run:
        removed = retention.to_remove(options.output, policy, now)
    else:
        removed, problems = retention.expire(options.output, policy, now)
    kinds = {paths.TAGS: "", paths.SIMILAR: f" of {paths.SIMILAR}"}
    rows = [(f"{r.kind}{kinds[r.table]}", r.path.name, f"{(now - r.since) / 86400:.1f}", r.size) for r in removed]
    total = sum(removal.size for removal in removed)
    text = f"{console.table(('removed', 'name', 'days old', 'bytes'), rows)}\n{total} bytes"
    text += " would be removed (dry run)\n" if options.dry_run else " removed\n"
    if problems:
        sys.stdout.write(text)
        raise SnapshotError(f"Expected to remove all old files. Received: {'; '.join(problems)}. Run expire again")
    return text


def _repair(options: Namespace) -> str:
    newest = snapshot.repair_pointer(options.output) or snapshot.newest(options.output)
    snapshot.repair_pointer(options.output, paths.SIMILAR)
    return f"tags/current and tags/current.sql name commit {newest.number}\n{_moved(options)}"


def _moved(options: Namespace) -> str:
    """Point the tables of metastores to the newest snapshot, and name them."""
    tables = followers.reconcile_tables(options.output, lambda: session.start("snapshots", s3_store.settings()))
    return "".join(f"{table} shows the newest snapshot\n" for table in tables)


def _json(tree: object) -> str:
    return json.dumps(tree, sort_keys=True, indent=2, allow_nan=False) + "\n"


def _publish(options: Namespace) -> str:
    commit = refused.publish(options.output, options.run, options.accept)
    return f"published snapshot {commit.number}: {paths.data_dir(options.output, commit)}\n{_moved(options)}"


#: Subcommands: name -> (options -> text to print, help).
COMMANDS: dict[str, tuple[Callable[[Namespace], str], str]] = {
    "list": (_list, "every commit, oldest first"),
    "path": (_path, "the directory of a snapshot, to read '<directory>/*.parquet'"),
    "show": (_show, "one commit and its files"),
    "diff": (_diff, "what changed between the snapshots of two commits"),
    "verify": (_verify, "read a snapshot's files and compare names, sizes, sha256 and row counts"),
    "pin": (_pin, "keep a snapshot until it is unpinned"),
    "unpin": (_unpin, "let a snapshot expire again"),
    "rollback": (_rollback, "make an older snapshot current again, by a new commit"),
    "expire": (_expire, "remove old snapshots, the staging of dead runs, and old reports"),
    "publish": (_publish, "publish a table that the audit refused, after a person looked at it"),
    "repair": (_repair, "make tags/current, tags/current.sql and the Delta log name the newest commit again"),
}


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(prog=prog, description="Manage the snapshots of a tags table.")
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = {}
    for name, (_, text) in COMMANDS.items():
        subcommand = subcommands.add_parser(name, help=text, description=text)
        job_options.add(subcommand)
        subcommand.set_defaults(table=paths.TAGS)
        add[name] = subcommand.add_argument
    for name in ("list", "path", "show", "verify", "pin", "unpin", "rollback"):
        add[name](
            "--table", choices=(paths.TAGS, paths.SIMILAR), default=paths.TAGS, help="tags, or similar products (tags)"
        )
    for name in ("list", "show", "diff"):
        add[name]("--json", action="store_true", help="print JSON, for programs")
    for name in ("path", "show", "verify"):
        add[name]("--number", type=int, help="number of the commit (default: the newest)")
    for name in ("pin", "unpin"):
        add[name]("--number", type=int, required=True, help="number of the commit")
    add["unpin"]("--all", action="store_true", help="also remove the pin of a metastore's table that shows it")
    add["diff"]("before", type=int, metavar="A", help="number of the earlier commit")
    add["diff"]("after", type=int, metavar="B", help="number of the later commit")
    add["diff"]("--rows", type=int, default=10, help="maximum of examples of each kind (default: 10)")
    add["verify"]("--all", action="store_true", help="verify every snapshot that has not expired")
    add["pin"]("--note", default="", help="why")
    add["publish"]("--run", required=True, help="id of the refused run")
    add["publish"]("--accept", action="append", default=[], metavar="GATE", help="a gate that refused; may be repeated")
    add["rollback"]("--to", type=int, required=True, help="number of the commit whose snapshot becomes current")
    for name, value, text in (
        (
            "--older-than",
            "30d",
            "keep snapshots that were current, and runs that wrote, within this time (default: 30d)",
        ),
        ("--grace", "24h", "never remove files younger than this (default: 24h)"),
    ):
        add["expire"](name, type=retention.seconds, default=value, metavar="TIME", help=text)
    add["expire"]("--keep", type=int, default=7, help="number of newest snapshots to keep at any age (default: 7)")
    add["expire"]("--dry-run", action="store_true", help="print what would be removed, and remove nothing")
    return parser
