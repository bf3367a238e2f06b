"""The two commands for YARN: catalog and photos on HDFS, executors whose Python has nothing installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clusters import documented
from tests.servers.hadoop import Yarn

#: Where the table is written: `local`, a folder that all nodes see, or `hdfs`, once the job can write there.
OUTPUT = "local"
CLIENT, CLUSTER = documented.commands("YARN")


def _start(
    words: list[str], yarn: Yarn, archive: str, python: Path, folder: Path, rows: int, **conf: str
) -> tuple[subprocess.Popen[str], str, dict[str, str]]:
    """Start a command; returns its process, the output and the status that each product must get."""
    expected = documented.write_catalog(folder / "catalog", rows)
    place = yarn.hdfs.new_folder()
    yarn.hdfs.put(folder / "catalog", f"{place}/catalog")
    output = str(folder / "tags") if OUTPUT == "local" else f"{place}/tags"
    places = {
        "hdfs:///apps/env.tar.gz": archive,
        "hdfs:///data/catalog": f"{place}/catalog",
        "/shared/tags": output,
        "=python3.11": f"={python}",
        ".venv/bin/python": sys.executable,
    }
    if OUTPUT == "local":
        # Until then a path without a scheme means HDFS to Spark, and this machine's disk to Python.
        conf |= {"spark.hadoop.fs.defaultFS": "file:///", "spark.yarn.stagingDir": f"{place}/staging"}
    return documented.start(words, places, yarn.environment(), conf), output, expected


def _executors() -> list[int]:
    """Return the process ids of the executors on this machine's node managers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"java") and b"org.apache.spark.executor.YarnCoarseGrainedExecutorBackend" in words:
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("words", [CLIENT, CLUSTER], ids=["client", "cluster"])
def test_a_command_of_the_page_publishes_the_catalog(
    words: list[str], yarn: Yarn, archive_on_hdfs: str, bare_python: Path, tmp_path: Path
) -> None:
    process, output, expected = _start(words, yarn, archive_on_hdfs, bare_python, tmp_path, documented.ROWS)
    try:
        documented.finish(process)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{yarn.last_words()}") from error
    assert documented.statuses(output) == expected
    (outcome,) = (tmp_path / "tags" / "runs").glob("*/outcome.json")
    assert json.loads(outcome.read_text())["exit_code"] == 0


# The last test of the module: a node manager is gone afterwards.
def test_an_executor_and_a_node_that_die_lose_no_row_and_double_none(
    yarn: Yarn, archive_on_hdfs: str, bare_python: Path, tmp_path: Path
) -> None:
    conf = {
        **{"spark.speculation": "true", "spark.speculation.interval": "100ms", "spark.speculation.multiplier": "1.1"},
        # The driver asks YARN for this long why an executor of the dead node was lost; it is 120 s by default.
        "spark.network.timeout": "40s",
    }
    process, output, expected = _start(CLIENT, yarn, archive_on_hdfs, bare_python, tmp_path, 240, **conf)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("scored "):
            break
    executors = _executors()
    os.kill(executors[0], signal.SIGKILL)
    time.sleep(1)
    kept = yarn.node_of_the_driver_or_master()
    for name, manager in yarn.node_managers().items():
        if name != kept:
            manager.stop()
    documented.finish(process)
    assert documented.statuses(output) == expected
