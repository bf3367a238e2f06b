"""Jars from Maven Central, or a test that is skipped and says why."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.submit import REPOSITORY


@cache
def java_home() -> Path:
    """Return the home of a Java that Spark runs on."""
    found = subprocess.run([str(REPOSITORY / ".ci" / "java_home.sh")], check=True, capture_output=True, text=True)
    return Path(found.stdout.strip())


@cache
def _provided(group: str) -> list[Path] | str:
    """Return the jars of a group of .ci/jars.lock, or why they cannot be had: asked once a session."""
    command = [sys.executable, str(REPOSITORY / ".ci" / "jars.py"), group]
    environment = {**os.environ, "JAVA_HOME": str(java_home())}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return [Path(line) for line in result.stdout.split()] if result.returncode == 0 else result.stderr.strip()


def needed(group: str) -> list[Path]:
    """Return the jars of a group of .ci/jars.lock (`hadoop`, `s3a`); where there are none the test is skipped."""
    jars = _provided(group)
    if isinstance(jars, str):
        pytest.skip(jars.splitlines()[-1])
    return jars
