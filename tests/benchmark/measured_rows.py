"""The rows of the table: which job, on which catalog, with which engine; and one run of one row."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fashion_udf.model.bundle import Bundle
from tests.benchmark import agreement, ceiling
from tests.benchmark.agreement import Tags
from tests.benchmark.catalogs import Catalogs
from tests.benchmark.submitted import Submitted, submit
from tests.submit import REPOSITORY

PLAIN, CEILING, DAFT, REFERENCE, FASTEST = "plain", "ceiling", "daft", "tensorflow-f32", "fastest"


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    rows: int
    runs: int
    bundle: str
    master: str
    night_rows: int
    quiet_rows: int
    work: Path

    @property
    def cores(self) -> int:
        """Task cores, as the master says."""
        found = re.fullmatch(r"local\[(\d+)\]", self.master)
        if found is None:
            raise ValueError(f"Expected --master local[N]: the ceiling takes as many cores. Received: {self.master!r}")
        return int(found[1])


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    title: str
    job: str  # "tag_catalog", "plain_job", "daft" or "ceiling"
    #: An engine and a precision, `FASTEST` for the fastest one that the bundle offers, or what the plain job uses.
    mode: str
    catalog: str = "bytes"
    photo_latency: float = 0.0  # seconds


@dataclass(frozen=True)
class Run:
    """What one run of a row gave; None where a row has no such thing."""

    row: str
    rows_per_second: float
    scoring_seconds: float
    submitted: Submitted | None
    tags: Tags | None


ROWS = {
    PLAIN: Row("plain job: Keras in a pandas UDF", "plain_job", "pandas_udf"),
    "predict-batch-udf": Row("plain job: predict_batch_udf", "plain_job", "predict_batch_udf"),
    REFERENCE: Row("our job, tensorflow f32", "tag_catalog", REFERENCE),
    "openvino-f32": Row("our job, openvino f32", "tag_catalog", "openvino-f32"),
    "openvino-bf16": Row("our job, openvino bf16", "tag_catalog", "openvino-bf16"),
    "openvino-int8": Row("our job, openvino int8", "tag_catalog", "openvino-int8"),
    "slow-photos": Row("our job, URIs, 30 ms a photo", "tag_catalog", FASTEST, "uri", 0.03),
    "duplicates": Row("our job, half duplicates", "tag_catalog", FASTEST, "duplicates"),
    DAFT: Row("Daft with that engine", DAFT, FASTEST),
    CEILING: Row("ceiling: decode + engine", CEILING, FASTEST),
}


def missing(job: str, mode: str, bundle: Bundle) -> str | None:
    """Return why a job cannot be measured in a mode here, None if it can."""
    if job == DAFT and importlib.util.find_spec(DAFT) is None:
        return "pip install daft"
    engine, _, precision = mode.partition("-")
    if not precision:
        return None  # the plain job's
    if precision not in bundle.manifest.engines.get(engine, []):
        return f"the bundle does not offer {engine} {precision}"
    if mode == "openvino-bf16":
        from fashion_udf.model.engines.openvino import has_bf16

        if not has_bf16():
            return "this CPU does not compute in bf16"
    return None


def run(name: str, mode: str, catalogs: Catalogs, options: Options) -> Run:
    """Run a row once.

    Args:
        name: a key of `ROWS`.
        mode: the row's, with `FASTEST` replaced.
        catalogs: the catalogs.
        options: the options.
    """
    row = ROWS[name]
    if row.job == CEILING:
        rate = ceiling.rows_per_second(catalogs.folder / row.catalog, options.bundle, mode, options.cores)
        return Run(name, rate, options.rows / rate, None, None)
    output = options.work / "runs" / name / "output"
    replace_directory(output)
    if row.job == DAFT:
        seconds = _daft_seconds(mode, catalogs.folder / row.catalog, options, output)
        return Run(name, options.rows / seconds, seconds, None, agreement.read(output))
    done = submitted(row, mode, catalogs, options, catalogs.folder / row.catalog, output)
    seconds = scoring_seconds(done)
    tags = agreement.read(output / "tags" / "current" if row.job == "tag_catalog" else output)
    if len(tags) != options.rows:
        raise RuntimeError(f"Expected {options.rows} rows of {row.title}. Received: {len(tags)}")
    return Run(name, options.rows / seconds, seconds, done, tags)


def _daft_seconds(mode: str, catalog: Path, options: Options, output: Path) -> float:
    command = [sys.executable, "-m", "tests.benchmark.daft_job", "--mode", mode, "--cores", str(options.cores)]
    command += ["--catalog", str(catalog.absolute()), "--bundle", options.bundle, "--output", str(output.absolute())]
    return float(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout)


def replace_directory(directory: Path) -> None:
    """Remove what an earlier run wrote: our job would carry its rows, the plain one would refuse."""
    shutil.rmtree(directory, ignore_errors=True)


def submitted(
    row: Row, mode: str, catalogs: Catalogs, options: Options, catalog: Path, output: Path, *more: str
) -> Submitted:
    """Run the row's job on a catalog; `more` are further settings of our job, as `key=value`."""
    if row.job == "plain_job":
        script = Path(__file__).parent / "plain_job.py"
        arguments = ["--udf", mode, "--catalog", str(catalog), "--bundle", options.bundle, "--output", str(output)]
    else:
        script = REPOSITORY / "jobs" / "tag_catalog.py"
        arguments = job_arguments(mode, catalogs, options, catalog, output, *more)
    return submit(output.parent / "spark", script, arguments, options.master, row.photo_latency)


def job_arguments(
    mode: str, catalogs: Catalogs, options: Options, catalog: Path, output: Path, *more: str
) -> list[str]:
    """Return the arguments of our job: config and settings; `more` are further ones, as `key=value`."""
    engine, precision = mode.split("-")
    settings = {
        "input.path": str(catalog.absolute()),
        "input.image_roots": json.dumps([str(catalogs.photos.absolute())]),
        "output.path": str(output.absolute()),
        "bundle": options.bundle,
        "engine.name": engine,
        "engine.precision": precision,
    }
    words = [*(f"{key}={value}" for key, value in settings.items()), *more]
    return [
        "--config",
        str(REPOSITORY / "conf" / "nightly.yaml"),
        *(part for word in words for part in ("--set", word)),
    ]


def scoring_seconds(done: Submitted) -> float:
    """Return the seconds from the first scoring task to the last commit.

    Raises:
        RuntimeError: nothing was scored.
    """
    timeline = done.timeline
    if timeline.scoring_start is None or timeline.scoring_end is None:
        raise RuntimeError("Expected a job that scores. Received: no task of a pandas UDF in its event log")
    return timeline.scoring_end - timeline.scoring_start
