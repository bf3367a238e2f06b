"""Many short sessions of many workers: none hangs after the fork of its workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests import soak
from tests.submit import REPOSITORY

WORKERS = 8
#: Seconds after which a session counts as hung.
SECONDS = 300
SESSION = f"""
from pyspark.sql import SparkSession
import fashion_udf as fu
from tests import small_bundle
spark = SparkSession.builder.master("local[{WORKERS}]").config("spark.ui.enabled", "false").getOrCreate()
tag = fu.tag_udf(spark, small_bundle.read())
frame = spark.range(4 * {WORKERS}, numPartitions={WORKERS}).selectExpr("concat('Red shirt ', id) AS title")
print("statuses", sorted(row.tag.status for row in frame.withColumn("tag", tag("title")).collect()))
"""


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.skipif(not soak.SOAK, reason="minutes: run by `make soak`")
def test_no_session_hangs_after_the_fork_of_its_workers() -> None:
    for _ in soak.rounds("sessions of eight workers", 3):
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", SESSION],
            cwd=REPOSITORY,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert f"statuses {['image_none'] * 4 * WORKERS}" in ended.stdout, ended.stderr[-3000:]
        longest = max(soak.TOTALS["seconds of the longest session"], round(time.monotonic() - began))
        soak.TOTALS["seconds of the longest session"] = longest
