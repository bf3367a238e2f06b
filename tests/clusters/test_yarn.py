"""The two commands for YARN: catalog, photos and table on HDFS, executors whose Python has nothing installed."""

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

from tests import soak
from tests.clusters import documented
from tests.servers.hadoop import Yarn

CLIENT, CLUSTER = documented.commands("YARN")


def _start(
    words: list[str], yarn: Yarn, archive: str, python: Path, folder: Path, rows: int, **conf: str
) -> tuple[subprocess.Popen[str], str, dict[str, str]]:
    """Start a command; returns its process, the output and the status that each product must get."""
    expected = documented.write_catalog(folder / "catalog", rows)
    place = yarn.hdfs.new_folder()
    yarn.hdfs.put(folder / "catalog", f"{place}/catalog")
    output = f"{place}/tags"
    places = {
        "hdfs:///apps/env.tar.gz": archive,
        "hdfs:///data/catalog": f"{place}/catalog",
        "hdfs:///data/tags": output,
        "=python3.11": f"={python}",
        ".venv/bin/python": sys.executable,
    }
    return documented.start(words, places, yarn.environment(), conf), output, expected


def _executors(yarn: Yarn) -> list[int]:
    """Return the process ids of the executors on this cluster's node managers; others may run on the machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if (
                not words[0].endswith(b"java")
                or b"org.apache.spark.executor.YarnCoarseGrainedExecutorBackend" not in words
            ):
                continue
            if Path(os.readlink(process / "cwd")).is_relative_to(yarn.hdfs.process.home.resolve()):
                found.append(int(process.name))
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
    yarn.hdfs.get(output, tmp_path / "tags")
    assert documented.statuses(str(tmp_path / "tags")) == expected
    (outcome,) = (tmp_path / "tags" / "runs").glob("*/outcome.json")
    assert json.loads(outcome.read_text())["exit_code"] == 0


# The last test of the module: a node manager is gone afterwards.
@pytest.mark.soak
@pytest.mark.skipif(not soak.SOAK, reason="minutes, most of them waiting for the lost node: run by `make soak`")
def test_an_executor_and_a_node_that_die_lose_no_row_and_double_none(
    yarn: Yarn, archive_on_hdfs: str, bare_python: Path, tmp_path: Path
) -> None:
    conf = {
        **{"spark.speculation": "true", "spark.speculation.interval": "100ms", "spark.speculation.multiplier": "1.1"},
        # The driver asks YARN for this long why an executor of the dead node was lost; it is 120 s by default.
        **{"spark.network.timeout": "40s", "spark.network.timeoutInterval": "20s"},
    }
    process, output, expected = _start(CLIENT, yarn, archive_on_hdfs, bare_python, tmp_path, 240, **conf)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("scored "):
            break
    executors = _executors(yarn)
    assert executors, "".join(said)[-5000:]
    os.kill(executors[0], signal.SIGKILL)
    time.sleep(1)
    kept = yarn.node_of_the_driver_or_master()
    for name, manager in yarn.node_managers().items():
        if name != kept:
            manager.stop()
    documented.finish(process)
    yarn.hdfs.get(output, tmp_path / "tags")
    assert documented.statuses(str(tmp_path / "tags")) == expected
