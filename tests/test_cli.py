"""What every entry point shares: the exit code and the one line."""

from __future__ import annotations

import pytest

from fashion_udf import cli
from fashion_udf.errors import CommitConflictError, ConfigError, GateRefusedError


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
        cli.run(main)
    assert ended.value.code == code
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")][-1].endswith("no")


def test_a_job_that_returns_leaves_no_exit_code() -> None:
    cli.run(lambda: None)
