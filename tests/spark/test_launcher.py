"""A SIGTERM that the launcher alone gets reaches the process that it started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: A parent whose main thread has the name that a JVM gives a thread when it gets SIGTERM, and its child.
PARENT = """
import os, subprocess, sys
with open("/proc/self/comm", "w") as file:
    file.write(sys.argv[1])
sys.exit(subprocess.run([sys.executable, "-c", sys.argv[2]]).returncode)
"""
FAILS = """
from fashion_udf import cli
from fashion_udf.spark import launcher
def main():
    with launcher.ended():
        raise ValueError("Job 5 cancelled because SparkContext was shut down")
cli.run(main)
"""
WORKS = """
import time
from fashion_udf import cli
from fashion_udf.spark import launcher
def main():
    launcher.follow()
    time.sleep(1.5)
cli.run(main)
"""


@pytest.mark.parametrize(
    ("name", "child", "code"),
    [
        ("SIGTERM handler", FAILS, 143),
        ("main", FAILS, 1),
        ("SIGTERM handler", WORKS, 143),
        ("main", WORKS, 0),
    ],
)
def test_what_stops_the_launcher_stops_the_process_and_nothing_else_does(name: str, child: str, code: int) -> None:
    environment = {**os.environ, "PYSPARK_GATEWAY_PORT": "1"}
    command = [sys.executable, "-c", PARENT, name, child]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    told = [line for line in run.stderr.splitlines() if line.startswith("error: stopped by SIGTERM")]
    assert len(told) == (code == 143)
