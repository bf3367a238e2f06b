"""spark-submit as a user runs it: the wrapper, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
#: The wrapper stands beside the environment's Python.
SPARK_SUBMIT = Path(sys.executable).parent / "spark-submit"


def submit(
    job: str,
    *arguments: str,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `spark-submit OPTIONS jobs/JOB.py ARGUMENTS` and return its exit code and output.

    All output is in `stdout`: Spark's launcher merges both streams of a Python driver.
    """
    return subprocess.run(
        [
            str(SPARK_SUBMIT),
            "--conf",
            "spark.ui.enabled=false",
            *options,
            str(REPOSITORY / "jobs" / f"{job}.py"),
            *arguments,
        ],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(environment or {})},
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line a person reads when a job fails."""
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    return line
