"""Fixtures: the data outside the repository, and one lazy Spark session."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parents[1]

# Machines are shared: how long an example takes says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# No test needs a GPU, and TensorFlow's search for one fills the log.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# As .ci/spark_submit.sh has it: tests with Spark took 46 s instead of 67 s.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseParallelGC")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public catalogs and troublesome photos; they are not part of the repository."""
    folder = Path(os.environ.get("FASHION_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the public catalogs in {folder} (or FASHION_DATA)")
    return folder


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One session for all tests that need Spark, started by the first of them."""
    # The workers' Python is the tests' own, and finds the library in the checkout.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    from pyspark.sql import SparkSession

    from fashion_udf.spark.session import PINNED, STARTED_WITH

    builder = SparkSession.builder.master("local[2]").appName("tests")
    settings = {
        **STARTED_WITH,
        **PINNED,
        "spark.ui.enabled": "false",  # no port, no start-up time
        "spark.sql.shuffle.partitions": "2",  # 200 tasks for ten rows take longer than the test
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.warehouse.dir": "build/spark-warehouse",
        # Nights compile the same queries again and again; of the 100 kept by default none is left for the next night,
        # which took a fifth more processor time.
        "spark.sql.codegen.cache.maxEntries": "5000",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def _reset_spark_settings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give every test the session's own settings: a run changes reader and Arrow batch sizes."""
    yield
    if "spark" in request.fixturenames:
        session = request.getfixturevalue("spark")
        for key in (
            "spark.sql.parquet.columnarReaderBatchSize",
            "spark.sql.execution.arrow.maxRecordsPerBatch",
            "spark.sql.execution.arrow.maxBytesPerBatch",
        ):
            session.conf.unset(key)
