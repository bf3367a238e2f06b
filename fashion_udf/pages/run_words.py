"""The texts of a run's page: its verdict, the next command, and the queries that list the rows of each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fashion_udf.config import JobConfig
from fashion_udf.pages.figures import Command, RunFigures, Step
from fashion_udf.pages.run_page import number, quoted
from fashion_udf.pipeline import gates
from fashion_udf.schema import NOT_A_FAILURE

#: The work of each stage.
BOTTLENECKS = {
    "plan": "the plan: reading the catalog and comparing it with the published table",
    "score": "scoring: reading and decoding photos, and the engine",
    "assemble": "assembling: writing the next table",
    "audit": "the audit and the run's tables",
}
_READERS = {"parquet": "read_parquet", "csv": "read_csv", "json": "read_json"}


def with_words(
    figures: RunFigures, config: JobConfig, outcome: Mapping[str, Any], table: str | None, broken: Mapping[str, str]
) -> RunFigures:
    """Return the figures with verdict, remedy, funnel and commands.

    Args:
        figures: the figures of a run.
        config: the config of the run.
        outcome: the run's `outcome.json`.
        table: directory of the published or refused table; None if there is none.
        broken: messages of the gates that refused the table.
    """
    counts = outcome.get("counts", {})
    published = figures.exit_code == 0 and figures.histogram is not None
    return replace(
        figures,
        verdict=_verdict(figures, counts, published, broken),
        gates=dict(broken),
        remedy=_remedy(figures, config, broken),
        funnel=_funnel(figures, config, counts, table),
        commands=_commands(figures, config, table),
    )


def in_a_word(outcome: Mapping[str, Any]) -> str:
    """Return the result of a run as text, for the list of runs."""
    code, message = outcome.get("exit_code"), str(outcome.get("message", ""))
    if code == 0:
        return "published, or nothing to do"
    return f"refused: {message}" if code == 3 else f"failed ({code}): {message}"


def _verdict(figures: RunFigures, counts: Mapping[str, int], published: bool, broken: Mapping[str, str]) -> str:
    scored, accepted = number(counts.get("scored", 0)), number(counts.get("accepted", 0))
    rows = figures.history[-1].rows if figures.history else None
    if published:
        lost = max(0, counts.get("accepted", 0) - (rows or 0)) if not _is_backfill(counts, rows) else 0
        return f"Published #{figures.number}: {number(rows)} rows, {scored} scored, {number(lost)} lost, gates ok"
    if figures.exit_code == 0:
        return f"Nothing to publish: #{figures.number} stays, {accepted} rows of the catalog looked at, {scored} scored"
    kept = f"#{figures.number} stays published" if figures.number is not None else "nothing is published"
    if figures.exit_code == 3:
        named = ", ".join(broken) or "an audit gate"
        return f"Refused by {named}: {number(rows)} rows, {scored} scored; {kept}"
    what = {2: "The input or the configuration cannot be used", 4: "Other runs published first", 143: "Stopped"}
    return f"{what.get(figures.exit_code, 'Failed')} (exit code {figures.exit_code}); {kept}"


def _is_backfill(counts: Mapping[str, int], rows: int | None) -> bool:
    """Return whether the run processed only some products: its table has more rows than it accepted."""
    return rows is not None and rows > counts.get("accepted", 0)


def _remedy(figures: RunFigures, config: JobConfig, broken: Mapping[str, str]) -> Command | None:
    if figures.exit_code == 0:
        return None
    if figures.exit_code == 3 and broken and not {*broken} & {*gates.ABSOLUTE}:
        accepted = [word for gate in broken for word in ("--accept", gate)]
        words = ("fashion-udf", "snapshots", "publish", "--output", config.output.path, "--run", figures.run_id)
        return Command("Look at what changed below. To publish this table all the same", quoted(*words, *accepted))
    again = quoted("fashion-udf", "tag", "--config", "conf/nightly.yaml", "--set", f"input.path={config.input.path}",
                   "--set", f"output.path={config.output.path}")  # fmt: skip
    return Command("When the cause is removed, run it again; what was scored is not scored twice", again)


def _funnel(figures: RunFigures, config: JobConfig, counts: Mapping[str, int], table: str | None) -> list[Step]:
    if "accepted" not in counts:
        return []
    source, run = config.input, f"{config.output.path}/runs/{figures.run_id}"
    reader = _READERS.get(source.format)
    everything = f"SELECT * FROM {reader}({_text(source.path)});" if reader else f"SELECT * FROM {source.path};"
    made = figures.histogram is not None and table is not None

    def of_table(where: str) -> str | None:
        rows = _text(f"{table}/*.parquet")
        return f"SELECT * EXCLUDE (embedding) FROM {rows}{where};" if made else None

    def of_run(name: str) -> str:
        return f"SELECT * FROM {_text(f'{run}/{name}.parquet/*.parquet')};"

    failed = sum(counts.get(f"status.{status}", 0) for status in _failures(counts))
    unchanged = sum(rows for name, rows in counts.items() if name.startswith("unchanged."))
    rejected = counts.get("rejected", 0)
    mine = f" WHERE run_id = {_text(figures.run_id)}"
    steps = [
        Step("input", counts["accepted"] + rejected, everything),
        Step("rejected: no id, or an id twice", rejected, of_run("rejected") if rejected else None),
        Step("accepted", counts["accepted"], of_table("")),
    ]
    if figures.exit_code not in (0, 3):  # the counts come from the plan
        return [*steps, Step("to carry over", counts.get("carried", 0)), Step("to score", counts.get("scored", 0))]
    steps += [
        Step("carried over", counts.get("carried", 0), of_table(mine.replace("=", "<>"))),
        Step("scored", counts.get("scored", 0), of_table(mine)),
        Step("failed", failed, of_run("failures") if made else None),
        Step("looked at and unchanged", unchanged, of_run("unchanged") if made or unchanged else None),
    ]
    if removed := counts.get("removed", 0):
        steps.append(Step("removed: not in the catalog any more", removed))
    return steps


def _failures(counts: Mapping[str, int]) -> list[str]:
    statuses = [name.removeprefix("status.") for name in counts if name.startswith("status.")]
    return [status for status in statuses if status not in {*NOT_A_FAILURE}]


def _text(value: str) -> str:
    """Return a string literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def _commands(figures: RunFigures, config: JobConfig, table: str | None) -> list[Command]:
    output, head = config.output.path, figures.number
    if head is None:
        return []

    def snapshots(action: str, *words: str) -> str:
        return quoted("fashion-udf", "snapshots", action, "--output", output, *words)

    review = quoted("fashion-udf", "review", "--output", output)
    commands = [Command("Decide on products that wait for a person", review)]
    if head > 1:
        commands += [
            Command("What the newest snapshot changed", snapshots("diff", str(head - 1), str(head))),
            Command("Go back to the snapshot before", snapshots("rollback", "--to", str(head - 1))),
        ]
    if figures.exit_code == 3 and table:
        commands.append(Command("The refused table", f"SELECT * FROM {_text(f'{table}/*.parquet')};"))
    commands.append(Command("Read every byte of the published table again", snapshots("verify")))
    return commands
