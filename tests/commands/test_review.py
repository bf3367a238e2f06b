"""The command of the review: it says where the page is, serves this machine alone, and ends with Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.pages import queues
from tests.submit import REPOSITORY

COMMAND = [sys.executable, "-m", "fashion_udf", "review"]


def test_the_command_prints_the_address_and_serves_it_until_ctrl_c(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(0), queues.row(1)])
    review = subprocess.Popen(
        [*COMMAND, "--output", str(tmp_path), "--name", "ann"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert review.stdout is not None
        told = review.stdout.readline()
        assert told.startswith(f"2 products wait, of run {queues.RUN}. Open http://127.0.0.1:")
        address = told.split()[-1]
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert b"<title>Review</title>" in answer.read()
    finally:
        review.send_signal(signal.SIGINT)
        _, errors = review.communicate(timeout=60)
    assert (review.returncode, errors) == (0, "")
    assert address.split("/")[3] not in errors, "the token is in no log"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected a review queue in --output: `fashion-udf tag` writes one when it publishes"),
        (["--port", "99999"], "Expected a free --port of 127.0.0.1. Received: 99999"),
    ],
)
def test_what_cannot_be_served_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    if arguments:
        queues.write(tmp_path, [queues.row(0)])
    done = subprocess.run(
        [*COMMAND, "--output", str(tmp_path), *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith(f"error: {message}")
