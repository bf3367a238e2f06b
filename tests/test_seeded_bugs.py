"""The suite is tested itself: each bug of `seeded_bugs` makes tests fail that pass without it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.seeded_bugs import BUGS
from tests.submit import REPOSITORY


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_caught(bug: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.seeded_bugs", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, f"tests/{BUGS[bug][1]}"],
        cwd=REPOSITORY,
        env={**os.environ, "SEEDED_BUG": bug},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout[-3000:]
    assert "1 failed" in ended.stdout and " error" not in ended.stdout.splitlines()[-1], ended.stdout[-3000:]
