"""Nights that a scheduler ends: the run says so, Spark goes too, and the next run finishes without help."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from fashion_udf.pipeline import tagging
from tests.nights import Shop, held
from tests.submit import REPOSITORY, SPARK_SUBMIT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


MESSAGE = "stopped by SIGTERM; what is done is kept: run again"


@pytest.mark.parametrize(
    "to_all",
    [True, False],
    ids=["to all processes, as Airflow and YARN do", "to the launcher alone, as Kubernetes does"],
)
def test_a_run_that_gets_sigterm_says_so_and_leaves_no_process(
    spark: SparkSession, tmp_path: Path, to_all: bool
) -> None:
    shop = Shop(random.Random(7))
    shop.add(30)
    settings = shop.write(tmp_path)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
    command = [str(SPARK_SUBMIT), "--conf", "spark.ui.enabled=false", str(REPOSITORY / "jobs" / "tag_catalog.py")]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--config", str(tmp_path / "job.yaml")], stdout=log, stderr=log, start_new_session=True
        ) as run,
    ):
        while not [*(tmp_path / "out" / "staging").glob("*/todo-0")]:  # the next thing is to score
            assert run.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.01)
        (os.killpg if to_all else os.kill)(run.pid, signal.SIGTERM)
        assert run.wait(timeout=60) == 143
        deadline = time.monotonic() + 30
        while _has_members(run.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _has_members(run.pid), "Spark or a worker goes on"
    (written,) = (tmp_path / "out" / "runs").glob("*/outcome.json")
    outcome = json.loads(written.read_text())
    assert (outcome["exit_code"], outcome["message"]) == (143, MESSAGE)
    assert outcome["counts"]["accepted"] == 30
    assert f"error: {MESSAGE}\n" in (tmp_path / "log").read_text()
    assert held(str(tmp_path / "out")) == {}
    assert tagging.tag(spark, settings).published
    assert held(str(tmp_path / "out")) == shop.expected()


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
