"""What the driver needs as the published table grows: `python -m tests.benchmark.scale`.

Tables of several sizes are published by our own code from made-up results. On each of them a night runs with nothing
changed, and one with some products changed. The executors are processes of their own (`local-cluster`), so what the
driver's Java and Python take is theirs alone. Processor seconds are said beside those of the clock: other work on the
machine does not change them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from fashion_udf.table import snapshot
from tests import processes
from tests.benchmark import catalogs, quiet_nights
from tests.benchmark.catalogs import Catalogs
from tests.benchmark.submitted import below
from tests.submit import REPOSITORY, SPARK_SUBMIT

_SAMPLE_SECONDS = 0.2
_DISTINCT = 64  # embeddings: tables of millions of rows fit on any disk
_JAVA, _PYTHON, _EXECUTORS = _PARTS = ("driver's Java", "driver's Python", "executors")


@dataclass
class Process:
    """What a process took so far."""

    part: str
    bytes: int = 0  # the most it ever had in memory
    seconds: float = 0.0  # of processors


@dataclass(frozen=True)
class Taken:
    """What a run took, by part of it: `driver's Java`, `driver's Python`, `executors`."""

    clock: float
    bytes: Mapping[str, int]
    processor: Mapping[str, float]
    heap: int  # of the driver's Java, the most that Spark saw in use


def run(script: Path, arguments: Sequence[str], work: Path, options: argparse.Namespace) -> Taken:
    """Run a job to its end.

    Raises:
        RuntimeError: it failed.
    """
    shutil.rmtree(work, ignore_errors=True)
    (work / "events").mkdir(parents=True)
    settings = {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (work / "events").absolute().as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.logStageExecutorMetrics": "true",
        "spark.executor.metrics.pollingInterval": "500",
        "spark.executor.heartbeatInterval": "2s",
        "spark.local.dir": str(work.absolute()),
    }
    confs = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    command = [str(SPARK_SUBMIT), "--master", options.master, *confs, str(script), *arguments]
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(REPOSITORY)}
    started, seen, done = time.monotonic(), dict[int, Process](), threading.Event()
    with open(work / "log.txt", "wb") as log:
        process = subprocess.Popen(command, cwd=work, env=env, stdout=log, stderr=subprocess.STDOUT)
        watch = threading.Thread(target=_follow, args=(process.pid, script.name, seen, done))
        watch.start()
        code = process.wait()
        done.set()
        watch.join()
    if code != 0:
        told = (work / "log.txt").read_text(encoding="utf-8", errors="replace")
        reason = next((line for line in told.splitlines() if line.startswith("error:")), told[-3000:])
        raise RuntimeError(f"Expected {script.name} to succeed. Received: {code}; {reason}")
    return Taken(
        time.monotonic() - started,
        {part: max((each.bytes for each in seen.values() if each.part == part), default=0) for part in _PARTS},
        {part: sum(each.seconds for each in seen.values() if each.part == part) for part in _PARTS},
        _heap(work / "events"),
    )


def _follow(root: int, script: str, seen: dict[int, Process], done: threading.Event) -> None:
    """Look at the processes below one, again and again."""
    drivers = {b"org.apache.spark.deploy.SparkSubmit": _JAVA, script.encode(): _PYTHON}
    ticks = os.sysconf("SC_CLK_TCK")
    while not done.wait(_SAMPLE_SECONDS):
        for pid in below(root):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            is_driver = b"CoarseGrainedExecutorBackend" not in command
            part = next((name for word, name in drivers.items() if is_driver and word in command), _EXECUTORS)
            if part == _JAVA and not command.split(b"\0")[0].endswith(b"java"):
                continue  # the script that starts it
            found = seen.setdefault(pid, Process(part))
            found.bytes = max(found.bytes, processes.peak(pid))
            found.seconds = (int(fields[11]) + int(fields[12])) / ticks


def _heap(events: Path) -> int:
    """Return the most that the heap of the driver's Java had in use, by Spark's event log."""
    most = 0
    for path in (each for each in events.rglob("*") if each.is_file()):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "StageExecutorMetrics" in line and (event := json.loads(line)).get("Executor ID") == "driver":
                most = max(most, event["Executor Metrics"].get("JVMHeapMemory", 0))
    return most


def measure(rows: int, products: Catalogs, folder: Path, options: argparse.Namespace) -> list[tuple[int, Taken]]:
    """Publish a table of so many rows; return what each night took, with the products that had changed.

    Raises:
        RuntimeError: a night failed, or published another table than it must.
    """
    shutil.rmtree(folder, ignore_errors=True)
    catalog, output = folder / "catalog", folder / "output"
    catalog.mkdir(parents=True)
    settings = {
        "input.path": str(catalog),
        "input.image_roots": json.dumps([str(products.photos)]),
        "input.columns.image_version": "image_version",
        "output.path": str(output),
        "bundle": options.bundle,
        "engine.name": "openvino",
        "engine.precision": "f32",
    }
    arguments = ["--config", str(REPOSITORY / "conf" / "nightly.yaml")]
    arguments += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    found = list[tuple[int, Taken]]()
    for changed in (0, *options.changed):
        table = quiet_nights.made_up_catalog(products, rows, changed)
        pq.write_table(table, catalog / "part-00000.parquet", row_group_size=quiet_nights.FILE_ROWS)
        del table
        if not changed:
            script = Path(__file__).parent / "fingerprints.py"
            run(script, [*arguments, "--output", str(folder / "fingerprints")], folder / "spark", options)
            quiet_nights.publish(folder / "fingerprints", output, options.bundle, _DISTINCT)
        before = snapshot.newest(str(output))
        found.append((changed, run(REPOSITORY / "jobs" / "tag_catalog.py", arguments, folder / "spark", options)))
        after = snapshot.newest(str(output))
        if (after.number > before.number) != bool(changed) or after.rows != rows:
            raise RuntimeError(f"Expected {rows} rows, {changed} of them new. Received: {before}, then {after}")
        _say(rows, changed, found[-1][1])
    return found


def _say(rows: int, changed: int, taken: Taken) -> None:
    sys.stdout.write(
        f"{rows:9,} rows, {changed:5,} changed: {taken.clock:6.0f} s, load {os.getloadavg()[0]:.0f}; "
        f"Java {taken.bytes[_JAVA] >> 20:5} MB ({taken.heap >> 20} MB of heap), {taken.processor[_JAVA]:5.1f} s of "
        f"processors; Python {taken.bytes[_PYTHON] >> 20} MB, {taken.processor[_PYTHON]:.1f} s; "
        f"executors {taken.processor[_EXECUTORS]:.0f} s\n"
    )
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.scale", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000], help="of the published tables")
    parser.add_argument("--changed", type=int, nargs="*", default=[1000], help="products, on a night each")
    parser.add_argument("--bundle", default="builtin", help="builtin (default), PATH or PATH@<model_version>")
    parser.add_argument("--master", default="local-cluster[1,2,1536]", help="of Spark")
    parser.add_argument("--work", type=Path, help="a folder for the tables (a temporary one)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=options.work and options.work.absolute()) as directory:
        products = catalogs.prepare(Path(directory), 1, None)
        products.photo(0)
        for rows in options.rows:
            measure(rows, products, Path(directory) / "table", options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
