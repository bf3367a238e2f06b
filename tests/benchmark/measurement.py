"""The order of the measurements, and what must hold of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fashion_udf.model.bundle import Bundle
from tests.benchmark import agreement, measured_rows, nights, quiet_nights, stages, tables
from tests.benchmark.agreement import Tags
from tests.benchmark.catalogs import Catalogs
from tests.benchmark.measured_rows import CEILING, DAFT, FASTEST, REFERENCE, ROWS, Options, Run
from tests.benchmark.nights import Night
from tests.benchmark.tables import Summary
from tests.submit import REPOSITORY

NIGHTS, QUIET = "nights", "quiet-nights"
STAGE_ROWS = 300
OTHER_BATCH_SIZE = 5
Say = Callable[[str], None]


@dataclass
class Measured:
    """Everything that was found."""

    missing: dict[str, str]  # row -> why it was not measured
    runs: list[Run] = field(default_factory=list)
    summaries: dict[str, Summary] = field(default_factory=dict)
    nights: list[Night] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def measure(only: Sequence[str], products: Catalogs, model: Bundle, options: Options, say: Say) -> Measured:
    """Measure rows side by side, then what needs one run only.

    Args:
        only: keys of `ROWS`, `NIGHTS` and `QUIET`.
        products: the catalogs.
        model: the bundle, for what it offers.
        options: the options.
        say: takes a line of progress.
    """
    modes, missing = _modes(only, products, model, options, say)
    found = Measured(missing)
    for number in range(1, options.runs + 1):
        for name, mode in modes.items():
            run = measured_rows.run(name, mode, products, options)
            found.runs.append(run)
            whole = f", {run.submitted.process_seconds:.1f} s in all" if run.submitted else ""
            say(f"run {number} of {options.runs}: {name}: {run.rows_per_second:.1f} rows/s{whole}")
    shares = _shares(found)
    stage_seconds = _stages(modes, products, options, say)
    first_rows = _first_rows(modes, products, options, say)
    found.summaries = tables.summarize(found.runs, options.cores, stage_seconds, first_rows, shares)
    _check_independence(modes, products, options, found, say)
    if NIGHTS in only:
        mode = _fastest(products, model, options, say)
        say(f"nights: {nights.PROBE_ROWS} rows twice, then three nights of {options.night_rows} rows, {mode}")
        found.nights = nights.measure(mode, products, options)
        if not found.nights:
            found.remarks.append(
                f"{nights.CHANGED}, {nights.UNCHANGED}: not incremental yet, every row is scored again"
            )
    if QUIET in only:
        say(f"quiet nights: tables of {options.quiet_rows // quiet_nights.SMALLER} and {options.quiet_rows} products")
        found.nights += quiet_nights.measure("openvino-f32", products, options)
    return found


def _modes(
    only: Sequence[str], products: Catalogs, model: Bundle, options: Options, say: Say
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the mode of each row that can be measured, the reference among them, and why the others cannot."""
    wanted = [name for name in ROWS if name in only]
    if REFERENCE not in wanted and any(ROWS[name].job != CEILING for name in wanted):
        say(f"{REFERENCE} is measured too: the others must give its categories")
        wanted.insert(0, REFERENCE)
    modes, missing, fastest = {}, {}, None
    for name in wanted:
        mode = ROWS[name].mode
        if mode == FASTEST:
            fastest = mode = fastest or _fastest(products, model, options, say)
        if reason := measured_rows.missing(ROWS[name].job, mode, model):
            missing[name] = reason
        else:
            modes[name] = mode
    return modes, missing


def _fastest(products: Catalogs, model: Bundle, options: Options, say: Say) -> str:
    """Return the mode of our job whose engine takes the least time for a row on this machine."""
    ours = {row.mode for row in ROWS.values() if row.job == "tag_catalog"} - {FASTEST, REFERENCE}
    seconds = {
        mode: _stage_seconds(mode, "bytes", products, options)["predict"]
        for mode in sorted(ours)
        if measured_rows.missing("tag_catalog", mode, model) is None
    }
    say("engines: " + ", ".join(f"{mode} {1000 * taken:.1f} ms a row" for mode, taken in seconds.items()))
    return min(seconds, key=lambda mode: seconds[mode])


def _stage_seconds(mode: str, catalog: str, products: Catalogs, options: Options) -> dict[str, float]:
    rows = min(STAGE_ROWS, options.rows)
    return stages.measure(mode, products.folder / catalog, options.bundle, rows, REPOSITORY)


def _stages(modes: Mapping[str, str], products: Catalogs, options: Options, say: Say) -> dict[str, dict[str, float]]:
    """Return seconds per row by stage; not of duplicates, whose scored rows are a part only."""
    found = {}
    for name, mode in modes.items():
        row = ROWS[name]
        if row.job in (CEILING, DAFT) or row.catalog == "duplicates":
            continue
        say(f"stages: {name}")
        measured = _stage_seconds(stages.PLAIN if row.job == "plain_job" else mode, row.catalog, products, options)
        found[name] = {**measured, "fetch": measured["fetch"] + row.photo_latency}
    return found


def _first_rows(modes: Mapping[str, str], products: Catalogs, options: Options, say: Say) -> dict[str, float]:
    """Return seconds from a worker's fork to its first row: a job that has one row, so that it waits for no batch."""
    found = {}
    for name, mode in modes.items():
        row = ROWS[name]
        if row.job in (CEILING, DAFT) or row.catalog != "bytes":
            continue
        output = options.work / "runs" / name / "output-first"
        measured_rows.replace_directory(output)
        done = measured_rows.submitted(row, mode, products, options, products.folder / "first", output)
        found[name] = done.first_batch_seconds
        say(f"first row: {name}: {done.first_batch_seconds:.1f} s")
    return found


def _shares(found: Measured) -> dict[str, float]:
    """Compare every run with the reference's first; fill in the problems."""
    reference = next((run.tags for run in found.runs if run.row == REFERENCE), None)
    shares: dict[str, float] = {}
    for run in found.runs:
        if run.tags is None or reference is None:
            continue
        share = agreement.same_share(run.tags, reference)
        shares[run.row] = min(share, shares.get(run.row, 1.0))
        if share < agreement.SAME_AS_REFERENCE and ROWS[run.row].job == "tag_catalog":
            found.problems.append(
                f"Expected {run.row} to give {REFERENCE}'s category in at least "
                f"{100 * agreement.SAME_AS_REFERENCE:.1f} % of the rows. Received: {100 * share:.2f} %"
            )
    return shares


def _check_independence(
    modes: Mapping[str, str], products: Catalogs, options: Options, found: Measured, say: Say
) -> None:
    """Run every fast engine once more in small batches and another order; the results must be the same."""
    for name, mode in modes.items():
        row = ROWS[name]
        first = next((run.tags for run in found.runs if run.row == name), None)
        if row.job != "tag_catalog" or row.catalog != "bytes" or name == REFERENCE or first is None:
            continue
        tags, precision = _reordered(name, mode, products, options), mode.partition("-")[2]
        changed = agreement.changed(first, tags, precision)
        line = (
            f"{name}: in batches of {OTHER_BATCH_SIZE} and another order {len(changed)} of {len(tags)} results changed"
        )
        say(line)
        found.remarks.append(line + (f": {agreement.summary(changed)}" if changed else ""))
        if len(changed) > agreement.allowed(precision, len(tags)):
            found.problems.append(f"Expected results that do not depend on the batch. Received: {found.remarks[-1]}")


def _reordered(name: str, mode: str, products: Catalogs, options: Options) -> Tags:
    output = options.work / "runs" / name / "output-reordered"
    measured_rows.replace_directory(output)
    other = replace(options, master=f"local[{options.cores + 1}]")  # other partitions
    size = f"engine.batch_size={OTHER_BATCH_SIZE}"
    measured_rows.submitted(ROWS[name], mode, products, other, products.folder / "uri", output, size)
    return agreement.read(output / "tags" / "current")
