"""What every entry point shares: the exit code and the one line."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fashion_udf import cli
from fashion_udf.commands.main import COMMANDS
from fashion_udf.errors import CommitConflictError, ConfigError, GateRefusedError
from tests.submit import REPOSITORY


def test_a_reader_that_closes_the_output_ends_a_command_quietly() -> None:
    command = "from fashion_udf import cli; cli.run(lambda: [print('x' * 1000) for _ in range(1000)])"
    shell = f'{sys.executable} -c "{command}" | head -n 1 >/dev/null; echo "${{PIPESTATUS[0]}}"'
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert (ended.stdout, ended.stderr) == ("0\n", "")


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


def test_sigterm_is_told_before_any_clean_up_ends_a_job_with_143_and_a_second_one_disturbs_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before, told = signal.getsignal(signal.SIGTERM), list[str]()

    def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            told.append(capfd.readouterr().err)

    try:
        with pytest.raises(SystemExit) as ended:
            cli.run(main)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert told == ["error: stopped by SIGTERM; what is done is kept: run again\n"]
    assert capfd.readouterr().err == ""


def test_a_job_leaves_the_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    cli.run(lambda: None)
    assert signal.getsignal(signal.SIGTERM) == before


def _fails() -> None:
    try:
        try:
            int("seven")
        except ValueError as error:
            raise OSError("a disk") from error
    except OSError as error:
        raise ConfigError("Expected a number. Received: 'seven'") from error


def test_the_log_has_every_cause_of_an_error_and_a_person_one_line(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        cli.run(_fails)
    assert capsys.readouterr().err.splitlines()[-1] == "error: Expected a number. Received: 'seven'"
    logged = [re.sub(r"^\S+\.py:\d+ \(\w+\) ", "", record.getMessage()) for record in caplog.records]
    assert logged == [
        "ConfigError",
        "OSError: a disk",
        "ValueError: invalid literal for int() with base 10: 'seven'",
    ]


@pytest.mark.parametrize("verbose", [False, True])
def test_verbose_shows_the_traceback_of_an_error_of_ours(tmp_path: Path, verbose: bool) -> None:
    command = [sys.executable, "-m", "fashion_udf", "show", "--output", str(tmp_path), *["--verbose"] * verbose]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert ("Traceback (most recent call last):" in run.stderr) == verbose
    assert "fashion_udf/commands/show.py:" in run.stderr and "(open_plain) FileNotFoundError: [Errno 2]" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: Expected a published tags table in --output. Received: ")


@pytest.mark.parametrize("file", sorted(file for file, _ in COMMANDS.values()))
def test_every_command_has_verbose(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"fashion_udf.commands.{file}")
    with pytest.raises(SystemExit) as ended:
        module.main(["list", "--help"] if file == "snapshots" else ["--help"])
    assert ended.value.code == 0 and "--verbose" in capsys.readouterr().out
