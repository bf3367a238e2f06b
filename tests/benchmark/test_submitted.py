"""A job measured from outside: its processes, its marks, its event log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import processes
from tests.benchmark import submitted
from tests.submit import REPOSITORY

#: A process as pyspark's daemon is: its command line names it, and it forks a worker, which takes 60 MB.
_DAEMON = """
import os, sys, time
if os.fork() == 0:
    content = bytearray(60_000_000)
    content[::4096] = b"x" * len(content[::4096])
    del content
sys.stdout.write("ready\\n")
sys.stdout.flush()
time.sleep(60)
"""
#: A job with a pandas UDF of the name that scoring has, and one of another name.
_JOB = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf
spark = SparkSession.builder.getOrCreate()
def score(values):
    return values + 1
def identities(values):
    return values + 1
spark.range(10).select(pandas_udf(identities, "long")("id")).collect()
spark.range(10, numPartitions=3).select(pandas_udf(score, "long")("id")).write.parquet(sys.argv[1])
"""
#: A process with the benchmark's `worker_site` on its path, which reads a photo as a worker does.
_WORKER = """
import sys, time
from fashion_udf.photos import fetch
start = time.perf_counter()
photo = fetch.read(sys.argv[1], [sys.argv[2]], 1000)
sys.stdout.write(f"{time.perf_counter() - start} {photo.data}")
"""


def test_the_memory_of_a_worker_is_seen_after_it_was_given_back() -> None:
    command = [sys.executable, "-c", _DAEMON, "pyspark.daemon"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stdout is not None
            assert [daemon.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
            (worker,) = submitted.workers(daemon.pid)
            assert worker != daemon.pid
            assert processes.peak(worker) > 60_000_000 > processes.peak(daemon.pid)
            assert submitted.workers(worker) == []
        finally:
            for pid in (*submitted.workers(daemon.pid), daemon.pid):
                os.kill(pid, 9)


def test_a_driver_is_not_measured_twice_where_it_is_about_to_start_another_program() -> None:
    with subprocess.Popen([sys.executable, "-c", _DAEMON], stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout is not None
            assert [driver.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
            assert len(submitted.below(driver.pid)) == 2
            assert submitted.drivers(driver.pid) == [driver.pid]
            assert {driver.pid, os.getpid()} <= {*submitted.drivers(os.getpid())}
        finally:
            for pid in submitted.below(driver.pid):
                os.kill(pid, 9)


def test_a_process_that_has_ended_has_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert processes.peak(ended.pid) == 0


@pytest.mark.parametrize("latency", [None, "0.3"])
def test_photos_are_slow_only_where_it_is_asked_for(latency: str | None, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    marks = tmp_path / "marks"
    marks.mkdir()
    path = os.pathsep.join([str(REPOSITORY / "tests" / "benchmark" / "worker_site"), str(REPOSITORY)])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "BENCHMARK_MARKS": str(marks)}
    command = [sys.executable, "-c", _WORKER, str(tmp_path / "photo.jpg"), str(tmp_path), "pyspark.daemon"]
    added = {} if latency is None else {"BENCHMARK_PHOTO_LATENCY": latency}
    done = subprocess.run(command, env={**environment, **added}, capture_output=True, text=True, check=True)
    seconds, data = done.stdout.split()
    assert data == "b'photo'"
    assert (float(seconds) > 0.3) == (latency is not None)
    assert len(list(marks.glob("slow-*"))) == (latency is not None)


def test_a_job_is_measured_from_its_first_scoring_task_on(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(_JOB, encoding="utf-8")
    before = time.time()
    done = submitted.submit(tmp_path / "work", tmp_path / "job.py", [str(tmp_path / "out")])
    timeline = done.timeline
    assert timeline.scoring_start is not None and timeline.scoring_end is not None
    assert before < timeline.session_ready < timeline.scoring_start < timeline.scoring_end
    assert timeline.scoring_end - before < done.process_seconds
    assert 0 < done.session_seconds < done.process_seconds
    assert timeline.tasks == 3  # not the ones of the other UDF
    assert 20_000_000 < done.worker_bytes < 2_000_000_000
    assert 0 < done.first_batch_seconds < done.process_seconds


def test_a_job_that_fails_is_an_error_that_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("raise SystemExit('the reason')", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"(?s)Expected job.py to succeed. Received: exit code 1; .*the reason"):
        submitted.submit(tmp_path / "work", tmp_path / "job.py", [])


def test_a_latency_that_reached_no_photo_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"Expected the job to read photos by fashion_udf.photos.fetch.read"):
        submitted.submit(tmp_path / "work", tmp_path / "job.py", [], photo_latency=0.1)
