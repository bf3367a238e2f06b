"""The console script: commands by name, each with its own help, and Spark only where a command needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fashion_udf import __version__
from fashion_udf.commands.main import COMMANDS
from tests.submit import REPOSITORY
from tests.tables import publish

PROGRAM = "from fashion_udf.commands.main import main; main()"


def _run(*words: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_the_help_names_every_command() -> None:
    for shown in (_run("--help"), _run()):
        assert shown.returncode == 0
        assert [name for name in COMMANDS if f"\n    {name} " not in shown.stdout] == []
    assert _run("--version").stdout == f"fashion-udf {__version__}\n"


def test_an_unknown_command_is_refused_with_the_known_ones() -> None:
    done = _run("tga")
    assert done.returncode == 2
    assert "invalid choice: 'tga'" in done.stderr and "snapshots" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_its_own_help_and_starts_no_spark_for_it(command: str) -> None:
    program = PROGRAM.replace("; main()", "\ntry: main()\nfinally: import sys; assert 'pyspark' not in sys.modules")
    shown = _run(command, "--help", program=program)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"usage: fashion-udf {command} ")


def test_what_needs_no_spark_starts_none(tmp_path: Path) -> None:
    publish(tmp_path / "out", ["a"])
    program = PROGRAM.replace("; main()", "\nimport sys\nsys.modules['pyspark'] = None\nmain()")
    listed = _run("snapshots", "list", "--output", str(tmp_path / "out"), program=program)
    assert listed.returncode == 0 and "publish" in listed.stdout, listed.stderr
    drawn = _run("sample", "--output", str(tmp_path / "sample"), "--products", "1", program=program)
    assert drawn.returncode == 0 and "Wrote 1 products" in drawn.stdout, drawn.stderr


def test_an_error_is_one_line_with_its_exit_code(tmp_path: Path) -> None:
    done = _run("tag", "--config", str(tmp_path / "nowhere.yaml"))
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: Expected a readable YAML file. Received: ")
