"""What every entry point shares: the exit code and the one line."""

from __future__ import annotations

import os
import signal
import time

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


def test_sigterm_ends_a_job_with_143_and_one_line_and_a_second_one_disturbs_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, cleaned = signal.getsignal(signal.SIGTERM), []

    def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(1)

    try:
        with pytest.raises(SystemExit) as ended:
            cli.run(main)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (ended.value.code, cleaned) == (143, [1])
    assert capsys.readouterr().err.splitlines()[-1] == "error: stopped by SIGTERM; what is done is kept: run again"


def test_a_job_leaves_the_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    cli.run(lambda: None)
    assert signal.getsignal(signal.SIGTERM) == before
