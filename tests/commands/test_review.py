"""The command of the review: it says where the page is, serves this machine alone, and ends with Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.pages import queues
from tests.servers.s3 import BUCKET, S3Server
from tests.submit import REPOSITORY

COMMAND = [sys.executable, "-m", "fashion_udf", "review"]


@contextmanager
def reviewing(*arguments: str) -> Iterator[str]:
    """Serve the command until the end of the block, which it must end without a word; yields the page's address."""
    review = subprocess.Popen(
        [*COMMAND, *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert review.stdout is not None
        told = review.stdout.readline()
        assert f"wait, of run {queues.RUN}" in told and "Open http://127.0.0.1:" in told
        yield told.split()[-1]
    finally:
        review.send_signal(signal.SIGINT)
        _, errors = review.communicate(timeout=60)
    assert (review.returncode, errors) == (0, ""), "the token is in no log"


def test_the_command_prints_the_address_and_serves_it_until_ctrl_c(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(0), queues.row(1)])
    with (
        reviewing("--output", str(tmp_path), "--name", "ann") as address,
        urllib.request.urlopen(address, timeout=20) as answer,
    ):
        assert b"<title>Review</title>" in answer.read()


def test_an_output_and_photos_on_s3_are_reviewed_where_the_configuration_says_s3_is(
    s3_server: S3Server, tmp_path: Path
) -> None:
    photo = queues.photo("red")
    s3_server.put("reviewed/red.png", photo)
    settings = {"s3": s3_server.direct.model_dump()}
    queues.write(tmp_path, [queues.row(0, image_uri=f"s3://{BUCKET}/reviewed/red.png")], settings)
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        s3_server.put(f"reviewed/out/{file.relative_to(tmp_path)}", file.read_bytes())
    job = {"input": {"path": "catalog"}, "output": {"path": f"s3://{BUCKET}/reviewed/out"}, **settings}
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    with reviewing("--output", job["output"]["path"], "--config", str(tmp_path / "job.yaml")) as address:
        with urllib.request.urlopen(f"{address}photo/0?size=640", timeout=60) as answer:
            shown = Image.open(answer)
            assert shown.getpixel((30, 40))[0] > 200


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
