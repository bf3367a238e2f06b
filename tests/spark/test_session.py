"""The Spark session: the versions it accepts, and settings that nobody changes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from fashion_udf.errors import EnvironmentUnsupportedError, Stopped
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COMMITTER = "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version"


@pytest.mark.parametrize("version", ["3.5.0", "3.5.9", "4.0.4", "4.3.0"])
def test_supported_versions_of_spark_are_accepted(version: str) -> None:
    session.require_supported_spark(version)


@pytest.mark.parametrize("version", ["2.4.8", "3.4.4", "5.0.0"])
def test_other_versions_of_spark_are_refused(version: str) -> None:
    with pytest.raises(EnvironmentUnsupportedError, match=f"Expected Spark 3.5 or 4.x. Received: Spark {version}"):
        session.require_supported_spark(version)


def test_a_session_with_the_committer_that_can_leave_part_of_a_task_is_refused(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.start("tests") is spark
    started_with = spark.sparkContext.getConf()
    monkeypatch.setattr(spark.sparkContext, "getConf", lambda: started_with.set(COMMITTER, "2"))
    with pytest.raises(EnvironmentUnsupportedError, match=r"Expected .*algorithm\.version=1 .* Received: 2"):
        session.start("tests")


def test_workers_of_another_python_are_refused(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark.sparkContext, "pythonExec", "python3")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EnvironmentUnsupportedError, match="Expected Spark's Python workers to run .* Received: None"):
        session.require_usable(spark)
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    session.require_usable(spark)


def test_settings_hold_for_a_call_and_are_given_back_after_a_failure_too(spark: SparkSession) -> None:
    key, own = "spark.sql.session.timeZone", "fashion_udf.of.nobody"
    before = spark.conf.get(key)
    with pytest.raises(RuntimeError), session.settings(spark, {key: "Asia/Tokyo", own: 7}):
        assert (spark.conf.get(key), spark.conf.get(own)) == ("Asia/Tokyo", "7")
        raise RuntimeError
    assert (spark.conf.get(key), spark.conf.get(own, None)) == (before, None)


def test_a_process_that_ends_does_not_wait_for_spark_to_give_settings_back(spark: SparkSession) -> None:
    own = "fashion_udf.of.nobody"
    with pytest.raises(Stopped), session.settings(spark, {own: 7}):
        raise Stopped("SIGTERM")
    assert spark.conf.get(own) == "7"
    spark.conf.unset(own)


def test_a_damaged_or_missing_file_of_the_catalog_never_goes_unnoticed(spark: SparkSession) -> None:
    for what in ("ignoreCorruptFiles", "ignoreMissingFiles"):
        spark.conf.set(f"spark.sql.files.{what}", "true")
    joined = session.start("tests")
    assert [joined.conf.get(f"spark.sql.files.{what}") for what in ("ignoreCorruptFiles", "ignoreMissingFiles")] == [
        "false",
        "false",
    ]
