"""A standalone Spark cluster: a master and two workers, each a process, on free ports of loopback addresses."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyspark
import pytest

from tests.loopback import free_ports
from tests.servers import jars

SPARK = Path(pyspark.__file__).parent
LOG = Path("build") / "standalone.log"
SECONDS = 120


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the master, `spark://127.0.0.1:PORT`; its two workers have one core and 1 GB for executors each.

    The workers have addresses of their own: Spark starts no second attempt at a task on the host of the first one.
    """
    port, page = free_ports(2)
    master = f"spark://127.0.0.1:{port}"
    work = tmp_path_factory.mktemp("standalone")
    worker = ("--webui-port", "0", "--cores", "1", "--memory", "1g", "--work-dir", str(work), master)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "JAVA_HOME": str(jars.java_home()),
        "SPARK_HOME": str(SPARK),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    LOG.parent.mkdir(exist_ok=True)
    processes = []
    with LOG.open("w") as log:
        try:
            for words in (
                ("master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)),
                ("worker.Worker", "--host", "127.0.0.1", *worker),
                ("worker.Worker", "--host", "127.0.0.2", *worker),
            ):
                command = [str(SPARK / "bin" / "spark-class"), f"org.apache.spark.deploy.{words[0]}", *words[1:]]
                processes.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                )
            _wait_for_workers(page)
            yield master
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for_workers(page: int) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            if b'"aliveworkers" : 2' in answer.read():
                return
        time.sleep(0.3)
    pytest.fail(f"Expected two workers. Received: fewer after {SECONDS} s; see {LOG}.")
