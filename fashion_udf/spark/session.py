"""The Spark session of a run, with the settings pinned that a result depends on."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from fashion_udf import s3
from fashion_udf.errors import EnvironmentUnsupportedError, Stopped
from fashion_udf.s3 import S3Settings
from fashion_udf.spark import launcher

if TYPE_CHECKING:
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import DataFrame, SparkSession

#: Session settings a result depends on; pinned so that a cluster's defaults cannot change what is published.
PINNED = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    # A damaged source file must fail the run: with `true` Spark silently returns the part it could read.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # "007" in a partition directory's name would become the number 7.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}

#: Core settings, fixed when the context starts.
STARTED_WITH = {
    # The engine is built once per Python worker and kept for all of its tasks.
    "spark.python.worker.reuse": "true",
    # Version 2 publishes a task's files at task commit, so a task that dies while committing leaves part of them.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.ui.showConsoleProgress": "false",  # the job prints its own progress, in rows
}


def start(app_name: str, store: S3Settings | None = None) -> SparkSession:
    """Create, or join, a classic Spark session with the pinned settings.

    Args:
        app_name: shown by Spark.
        store: where S3 is; None: for a command that has no configuration.

    Raises:
        EnvironmentUnsupportedError: pyspark is not installed, or `require_usable` refuses the session.
    """
    try:
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            f"Expected pyspark: run the job with spark-submit, or install 'fashion-udf[spark]'. Received: {error}"
        ) from error
    launcher.follow()
    SparkContext._ensure_initialized()  # without Java a `SparkConf` knows nothing of what spark-submit was given
    conf = SparkConf()
    if not conf.contains("spark.pyspark.python"):
        # Spark starts workers with the `python3` of PATH, which may lack this library.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(app_name)
    hadoop = hadoop_settings(conf, store or S3Settings())
    settings = {**STARTED_WITH, **PINNED, **{f"spark.hadoop.{key}": value for key, value in hadoop.items()}}
    if not conf.contains("spark.log.level"):
        # Spark's INFO is hundreds of lines: nobody would see the progress between them.
        settings["spark.log.level"] = "WARN"
    if tasks_share_the_driver(conf.get("spark.master") or "local"):
        # Where the driver is the executor, Spark ends it at once when a task runs out of memory: nobody would tell why.
        settings["spark.executor.killOnFatalError.depth"] = "0"
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    require_usable(spark)
    return spark


def hadoop_settings(conf: SparkConf, store: S3Settings) -> dict[str, str]:
    """Return what Hadoop must know of S3, by key.

    A session has them for as long as `settings` sets them; one that `start` makes has them from the beginning. Where to
    find credentials, and what `s3:` is, stays what the cluster says, if it says it.
    """
    from pyspark import SparkContext

    hadoop = SparkContext._jvm.org.apache.hadoop  # type: ignore[union-attr]
    cluster = hadoop.conf.Configuration()
    found = s3.hadoop_settings(store, hadoop.util.VersionInfo.getVersion())
    # Paths in catalogs begin with s3:, and Hadoop itself knows s3a: alone.
    found["fs.s3.impl"] = "org.apache.hadoop.fs.s3a.S3AFileSystem"
    for key in (s3.PROVIDERS, "fs.s3.impl"):
        sources = set(cluster.getPropertySources(key) or ())
        if conf.contains(f"spark.hadoop.{key}") or sources - {"core-default.xml"}:
            del found[key]
    return found


def require_usable(spark: SparkSession) -> None:
    """Refuse a session that this project cannot work in.

    Raises:
        EnvironmentUnsupportedError: its Spark is not 3.5 or 4.x, it is a Spark Connect one, its workers run another
            Python, or its committer can leave part of a failed task's files.
    """
    require_supported_spark(spark.version)
    if not hasattr(spark, "_jsparkSession"):
        raise EnvironmentUnsupportedError(
            "Expected a classic Spark session (local, standalone, YARN, Kubernetes). Received: Spark Connect"
        )
    _require_own_python(spark.sparkContext)
    committer = spark.sparkContext.getConf().get("spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version", "1")
    if committer != "1":
        raise EnvironmentUnsupportedError(
            "Expected spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version=1 (version 2 can leave part of a "
            f"failed task's files behind). Received: {committer}"
        )


def _require_own_python(context: SparkContext) -> None:
    """Refuse a local session whose workers run the `python3` of PATH where that is another one than the driver's."""
    if not str(context.master).startswith("local") or context.pythonExec != "python3":
        return
    found = shutil.which("python3")
    if found is None or os.path.dirname(found) != os.path.dirname(sys.executable):
        raise EnvironmentUnsupportedError(
            f"Expected Spark's Python workers to run {sys.executable}, which has this library. Received: {found}. "
            "Set the environment variable PYSPARK_PYTHON before the session starts, or activate the environment"
        )


#: Frames that `cached` keeps while `uncached_after` runs.
_cached: ContextVar[list[DataFrame] | None] = ContextVar("cached", default=None)


def cached(frame: DataFrame) -> DataFrame:
    """Cache a frame, until the end of the `uncached_after` that this runs in."""
    if (frames := _cached.get()) is not None:
        frames.append(frame)
    return frame.persist()


def tasks_share_the_driver(master: str) -> bool:
    """Whether tasks run in the driver's own Java process: `local` and `local[...]`, not `local-cluster[...]`."""
    return re.match(r"local(\[|$)", master) is not None


@contextmanager
def uncached_after() -> Iterator[None]:
    """Unpersist what was `cached` in the body: a session that lives on must not fill with the rows of each run."""
    frames: list[DataFrame] = []
    token = _cached.set(frames)
    try:
        yield
    finally:
        _cached.reset(token)
        for frame in frames:
            with suppress(Exception):  # Spark has ended: an error of the body says why
                frame.unpersist()


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str | int]) -> Iterator[None]:
    """Set session settings while the body runs, and restore the old ones."""
    before = {key: spark.conf.get(key, None) for key in values}
    try:
        for key, value in values.items():
            spark.conf.set(key, value)
        yield
    except Stopped:
        raise  # the process ends, and this thread may have left a call whose answer it would have to wait for
    except BaseException:
        with suppress(Exception):  # Spark may have ended: the error of the body says why
            _restore(spark, before)
        raise
    _restore(spark, before)


def _restore(spark: SparkSession, before: Mapping[str, str | None]) -> None:
    for key, old in before.items():
        if old is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, old)


def require_supported_spark(version: str) -> None:
    """Refuse Spark versions this project is not tested with.

    Raises:
        EnvironmentUnsupportedError: `version` is not 3.5.x or 4.x.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    if not (major == 4 or (major, minor) == (3, 5)):
        raise EnvironmentUnsupportedError(f"Expected Spark 3.5 or 4.x. Received: Spark {version}")
