"""Nights on a cluster of two executors that lose tasks: to speculation, and to an executor that is killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from fashion_udf.table import paths, snapshot
from tests import processes, small_bundle, soak
from tests.nights import COLUMNS
from tests.servers import jars
from tests.servers.proxy import Request
from tests.servers.s3 import S3Server
from tests.submit import REPOSITORY, SPARK_SUBMIT

ROWS = 48
#: Rows of a task: each of the two cores gets one task.
TASK = ROWS // 2
BUCKET = "lost-tasks"
#: A night of each configuration, one after the other in one session.
NIGHTS = """import sys
from fashion_udf import cli, config
from fashion_udf.config import JobConfig
from fashion_udf.pipeline import tagging
from fashion_udf.spark import session

def nights():
    for place in sys.argv[1:]:
        settings = config.load(JobConfig, place, {})
        tagging.tag(session.start("nights", settings.s3), settings)

cli.run(nights)
"""
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.shuffle.partitions": "2",
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.quantile": "0.5",
    "spark.speculation.multiplier": "1.1",
    "spark.speculation.minTaskRuntime": "2s",
    "spark.pyspark.python": sys.executable,
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.executorEnv.PYTHONPATH": str(REPOSITORY),
    **{f"spark.executorEnv.{name}": os.environ[name] for name in os.environ if name.startswith("AWS_")},
}


@dataclass
class Night:
    """What a night asked for while it scored, and what it published."""

    requests: list[Request]
    rows: dict[str, tuple[Any, ...]]

    def asked(self, key: str = "") -> list[float]:
        """Return when a photo was asked for; without a key, when any was."""
        found = [each for each in self.requests if each.operation == "get"]
        return [each.at for each in found if each.path.startswith(f"/{BUCKET}/{key}")]


class Cluster:
    """A catalog of photos in S3, and nights of one session on two executors."""

    def __init__(self, folder: Path, server: S3Server, master: str) -> None:
        self.folder, self.server, self.master = folder, server, master
        (folder / "nights.py").write_text(NIGHTS)
        server.bucket(BUCKET)
        names = [f"{number:03}" for number in range(ROWS)]
        for name in names:
            file = io.BytesIO()
            Image.new("RGB", (24, 24), (int(name) * 5, 10, 10)).save(file, "PNG")
            server.put(f"{name}.png", file.getvalue(), BUCKET)
        (folder / "in").mkdir()
        uris = [f"s3://{BUCKET}/{name}.png" for name in names]
        catalog = {"product_id": names, "title": [f"Red shirt {name}" for name in names], "image_uri": uris}
        pq.write_table(pa.table(catalog), folder / "in" / "part.parquet")

    def config(self, name: str) -> Path:
        """Write the configuration of a night with an output of that name."""
        tree = {
            "input": {"path": str(self.folder / "in")},
            "output": {"path": str(self.folder / name)},
            "bundle": str(small_bundle.directory()),
            "gates": {"max_one_category": 1, "max_failures": 1},
            "limits": {"fetch_threads": 2, "image_timeout": 300},
            "s3": {**self.server.settings.model_dump(), "timeout": 200},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    def start(self, *names: str) -> subprocess.Popen[str]:
        """Start nights of one session."""
        settings = [word for key, value in SETTINGS.items() for word in ("--conf", f"{key}={value}")]
        command = [str(SPARK_SUBMIT), "--master", self.master, *settings, str(self.folder / "nights.py")]
        with (self.folder / "log").open("w") as log:
            return subprocess.Popen(
                [*command, *(str(self.config(name)) for name in names)],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), "JAVA_HOME": str(jars.java_home())},
                stdout=log,
                stderr=log,
                text=True,
            )

    def night(self, name: str, first: int, end: int) -> Night:
        """Return what a night did whose requests were those from the `first` until the `end`."""
        output = str(self.folder / name)
        commit = snapshot.newest(output)
        snapshot.verify(output, commit)
        table = ds.dataset(paths.data_dir(output, commit), format="parquet").to_table(["product_id", *COLUMNS])
        rows = {row["product_id"]: tuple(row[each] for each in COLUMNS) for row in table.to_pylist()}
        soak.TOTALS["rows doubled"] += table.num_rows - len(rows)
        assert len(rows) == table.num_rows == commit.rows
        return Night(self.server.proxy.requests[first:end], rows)


def _wait(run: subprocess.Popen[str], what: Any) -> None:
    until = time.monotonic() + 300
    while not what():
        assert run.poll() is None and time.monotonic() < until, "the nights ended before"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def nights(s3_server: S3Server, standalone: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Night]:
    """Two nights: one with a task that stands still at a photo, and one whose executor is killed."""
    folder, proxy = tmp_path_factory.mktemp("lost"), s3_server.proxy
    cluster = Cluster(folder, s3_server, standalone)
    first = len(proxy.requests)
    run = cluster.start("speculation", "killed")
    try:
        with proxy.fault("stall", about=lambda request: request.path == f"/{BUCKET}/040.png", times=1) as stalled:
            _wait(run, lambda: [*folder.glob("speculation/tags/log/*.json")])
        assert stalled.injected == 1
        middle, proxy.latency = len(proxy.requests), 0.3
        # More photos than one task has: both tasks run.
        _wait(run, lambda: len([each for each in proxy.requests[middle:] if each.operation == "get"]) > TASK)
        os.kill(processes.started("CoarseGrainedExecutorBackend")[0], signal.SIGKILL)
        assert run.wait(300) == 0, (folder / "log").read_text()[-5000:]
        assert "Lost task" in (folder / "log").read_text()
    finally:
        proxy.latency = 0.0
        run.kill()
    return {
        "speculation": cluster.night("speculation", first, middle),
        "killed": cluster.night("killed", middle, len(proxy.requests)),
    }


def test_speculation_doubles_no_row(nights: dict[str, Night]) -> None:
    night = nights["speculation"]
    stalled, again = night.asked("040.png")
    assert again - stalled < 100, "the task was started once more while the first attempt stood still"
    assert ROWS < len(night.asked()) <= ROWS + TASK
    soak.require_rows({name: row[3] for name, row in night.rows.items()}, dict.fromkeys(night.rows, "ok"))
    assert len(night.rows) == ROWS


def test_of_an_executor_that_is_killed_the_rows_of_its_task_are_scored_again_and_no_others(
    nights: dict[str, Night],
) -> None:
    soak.require_rows(nights["killed"].rows, nights["speculation"].rows)
    assert ROWS <= len(nights["killed"].asked()) <= ROWS + TASK
