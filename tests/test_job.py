"""What every job shares: the exit code, the one line, and the Spark versions it accepts."""

from __future__ import annotations

import pytest

from fashion_udf import job
from fashion_udf.errors import CommitConflictError, ConfigError, EnvironmentUnsupportedError, GateRefusedError


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
        job.run(main)
    assert ended.value.code == code
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")][-1].endswith("no")


def test_a_job_that_returns_leaves_no_exit_code() -> None:
    job.run(lambda: None)


@pytest.mark.parametrize("version", ["3.5.0", "3.5.9", "4.0.4", "4.3.0"])
def test_supported_versions_of_spark_are_accepted(version: str) -> None:
    job.require_supported_spark(version)


@pytest.mark.parametrize("version", ["2.4.8", "3.4.4", "5.0.0"])
def test_other_versions_of_spark_are_refused(version: str) -> None:
    with pytest.raises(EnvironmentUnsupportedError, match=f"Expected Spark 3.5 or 4.x. Received: Spark {version}"):
        job.require_supported_spark(version)
