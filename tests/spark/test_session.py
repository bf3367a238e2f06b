"""What every job shares: the exit code, the one line, and the Spark versions it accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fashion_udf.errors import CommitConflictError, ConfigError, EnvironmentUnsupportedError, GateRefusedError
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COMMITTER = "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no"), 2),
        (GateRefusedError("no"), 3),
        (CommitConflictError("no"), 4),
        (RuntimeError("no"), 1),
    ],
)
def test_an_error_ends_the_job_with_its_exit_code_and_one_line(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        session.run(main)
    assert ended.value.code == code
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")][-1].endswith("no")


def test_a_job_that_returns_leaves_no_exit_code() -> None:
    session.run(lambda: None)


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
    assert session.session("tests") is spark
    started_with = spark.sparkContext.getConf()
    monkeypatch.setattr(spark.sparkContext, "getConf", lambda: started_with.set(COMMITTER, "2"))
    with pytest.raises(EnvironmentUnsupportedError, match=r"Expected .*algorithm\.version=1 .* Received: 2"):
        session.session("tests")


def test_a_damaged_or_missing_file_of_the_catalog_never_goes_unnoticed(spark: SparkSession) -> None:
    for what in ("ignoreCorruptFiles", "ignoreMissingFiles"):
        spark.conf.set(f"spark.sql.files.{what}", "true")
    joined = session.session("tests")
    assert [joined.conf.get(f"spark.sql.files.{what}") for what in ("ignoreCorruptFiles", "ignoreMissingFiles")] == [
        "false",
        "false",
    ]
