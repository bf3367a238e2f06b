"""The Spark session of a run. It pins the settings that a result depends on."""

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

#: Session settings that a result depends on. They are pinned, so that a cluster's defaults cannot change the table.
PINNED = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    # A damaged source file must fail the run. With `true`, Spark silently returns only the readable part.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # With inference, "007" in the name of a partition's directory would become the number 7.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}

#: Core settings, which are fixed when the context starts.
STARTED_WITH = {
    # A Python worker builds the engine once and uses it for all of its tasks.
    "spark.python.worker.reuse": "true",
    # With version 2, a task that dies during its commit leaves a part of its files.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.ui.showConsoleProgress": "false",  # the job shows its own progress in rows
}


def start(app_name: str, store: S3Settings | None = None) -> SparkSession:
    """Create, or join, a classic Spark session with the pinned settings.

    Args:
        app_name: name of the application in Spark.
        store: the settings of S3; None for a command without a configuration.

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
    SparkContext._ensure_initialized()  # a `SparkConf` knows the arguments of spark-submit only with a JVM
    conf = SparkConf()
    if not conf.contains("spark.pyspark.python"):
        # By default Spark starts workers with the `python3` of PATH, which may lack this library.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(app_name)
    hadoop = hadoop_settings(conf, store or S3Settings())
    settings = {**STARTED_WITH, **PINNED, **{f"spark.hadoop.{key}": value for key, value in hadoop.items()}}
    if not conf.contains("spark.log.level"):
        # At INFO, Spark logs hundreds of lines, which would hide the progress.
        settings["spark.log.level"] = "WARN"
    if tasks_share_the_driver(conf.get("spark.master") or "local"):
        # Spark ends an executor when a task runs out of memory. If the driver is the executor, no message would explain
        # it.
        settings["spark.executor.killOnFatalError.depth"] = "0"
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    require_usable(spark)
    return spark


def hadoop_settings(conf: SparkConf, store: S3Settings) -> dict[str, str]:
    """Return Hadoop's settings for S3, by key.

    A session of `start` has these settings from its start, another session while `settings` sets them. The cluster's
    own settings for credentials and for `s3:` take precedence.
    """
    from pyspark import SparkContext

    hadoop = SparkContext._jvm.org.apache.hadoop  # type: ignore[union-attr]
    cluster = hadoop.conf.Configuration()
    found = s3.hadoop_settings(store, hadoop.util.VersionInfo.getVersion())
    # Paths in catalogs start with s3:, and Hadoop only knows s3a:.
    found["fs.s3.impl"] = "org.apache.hadoop.fs.s3a.S3AFileSystem"
    for key in (s3.PROVIDERS, "fs.s3.impl"):
        sources = set(cluster.getPropertySources(key) or ())
        if conf.contains(f"spark.hadoop.{key}") or sources - {"core-default.xml"}:
            del found[key]
    return found


def require_usable(spark: SparkSession) -> None:
    """Refuse a session that this project cannot work in.

    Raises:
        EnvironmentUnsupportedError: the version of Spark is not 3.5 or 4.x, the session is one of Spark Connect, its
            workers run another Python, or its committer can leave a part of a failed task's files.
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
            "Expected spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version=1 (version 2 can leave a part of a "
            f"failed task's files). Received: {committer}"
        )


def _require_own_python(context: SparkContext) -> None:
    """Refuse a local session whose workers run another Python than the driver."""
    if not str(context.master).startswith("local") or context.pythonExec != "python3":
        return
    found = shutil.which("python3")
    if found is None or os.path.dirname(found) != os.path.dirname(sys.executable):
        raise EnvironmentUnsupportedError(
            f"Expected Spark's Python workers to run {sys.executable}, which has this library. Received: {found}. "
            "Set the environment variable PYSPARK_PYTHON before the session starts, or activate the environment"
        )


#: Frames that `cached` has cached while `uncached_after` runs.
_cached: ContextVar[list[DataFrame] | None] = ContextVar("cached", default=None)


def cached(frame: DataFrame) -> DataFrame:
    """Cache a frame until the end of the surrounding `uncached_after`."""
    if (frames := _cached.get()) is not None:
        frames.append(frame)
    return frame.persist()


def tasks_share_the_driver(master: str) -> bool:
    """Return whether tasks run in the driver's Java process: `local` and `local[...]`, not `local-cluster[...]`."""
    return re.match(r"local(\[|$)", master) is not None


@contextmanager
def uncached_after() -> Iterator[None]:
    """Unpersist the frames that were `cached` in the block, so that a long-lived session does not fill with rows."""
    frames: list[DataFrame] = []
    token = _cached.set(frames)
    try:
        yield
    finally:
        _cached.reset(token)
        for frame in frames:
            with suppress(Exception):  # if Spark has ended, an error of the block tells why
                frame.unpersist()


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str | int]) -> Iterator[None]:
    """Set session settings while the block runs, and restore the old ones."""
    before = {key: spark.conf.get(key, None) for key in values}
    try:
        for key, value in values.items():
            spark.conf.set(key, value)
        yield
    except Stopped:
        raise  # the process ends; restoring settings could wait for the answer of an interrupted call
    except BaseException:
        with suppress(Exception):  # if Spark has ended, the error of the block tells why
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
    """Refuse versions of Spark that this project is not tested with.

    Raises:
        EnvironmentUnsupportedError: `version` is not 3.5.x or 4.x.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    if not (major == 4 or (major, minor) == (3, 5)):
        raise EnvironmentUnsupportedError(f"Expected Spark 3.5 or 4.x. Received: Spark {version}")
