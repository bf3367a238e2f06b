"""The snapshots command: what it prints, and the exit code when there is nothing to print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fashion_udf.errors import InputError, SnapshotError
from jobs import snapshots
from tests.tables import publish

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    publish(tmp_path / "out", ["1"], run_id="run-1")
    publish(tmp_path / "out", ["1", "2"], ["3"], run_id="run-2")
    return tmp_path / "out"


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    snapshots.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_list_names_every_commit_oldest_first(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, _, first, second = _run(capsys, "list", "--output", output).splitlines()
    assert header.split() == ["number", "snapshot", "time", "rows", "files", "bytes", "run", "model"]
    assert first.split()[:2] == ["1", "run-1"] and second.split()[:2] == ["2", "run-2"]
    assert second.split()[3:5] == ["3", "2"] and second.split()[6:] == ["run-2", "v1"]


def test_path_is_the_resolved_directory_and_nothing_else(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(capsys, "path", "--output", output) == f"{output}/tags/data/run-2\n"
    assert _run(capsys, "path", "--output", output, "--number", 1) == f"{output}/tags/data/run-1\n"


def test_path_works_while_an_older_commit_is_damaged(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (output / "tags/log/00000001.json").write_text("garbage")
    assert _run(capsys, "path", "--output", output) == f"{output}/tags/data/run-2\n"
    with pytest.raises(SnapshotError, match="unaltered commit in tags/log/00000001.json"):
        _run(capsys, "list", "--output", output)


def test_show_names_the_files_with_their_hashes(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = _run(capsys, "show", "--output", output)
    assert "number     2\n" in text and "parent     1\n" in text and "rows       3\n" in text
    assert [line.split()[:2] for line in text.splitlines()[-2:]] == [
        ["run-2-part-00000.parquet", "2"],
        ["run-2-part-00001.parquet", "1"],
    ]
    assert all(len(line.split()[3]) == 64 for line in text.splitlines()[-2:])


def test_verify_says_so_when_all_is_well(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(capsys, "verify", "--output", output, "--number", 2).startswith("commit 2: 2 files, 3 rows, ")


def test_verify_fails_on_a_damaged_file(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(output / "tags/data/run-2/run-2-part-00001.parquet", 10)
    with pytest.raises(SnapshotError, match="run-2-part-00001.parquet: 10 bytes"):
        _run(capsys, "verify", "--output", output)
    _run(capsys, "verify", "--output", output, "--number", 1)


def test_repair_moves_the_link_to_the_newest(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (output / "tags/current").unlink()
    (output / "tags/current.sql").unlink()
    assert _run(capsys, "repair", "--output", output) == "tags/current and tags/current.sql name commit 2\n"
    assert os.readlink(output / "tags/current") == "data/run-2"
    assert "run-2" in (output / "tags/current.sql").read_text()


def test_a_number_that_is_not_in_the_log_is_refused(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="Expected --number of a commit up to 2. Received: 3"):
        _run(capsys, "show", "--output", output, "--number", 3)


@pytest.mark.parametrize("command", snapshots.COMMANDS)
def test_an_output_without_a_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(InputError, match="Expected a published tags table in --output. Received: .*has no commit"):
        _run(capsys, command, "--output", tmp_path)


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "jobs/snapshots.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_it_runs_without_spark_and_ends_with_its_exit_code(output: Path, tmp_path: Path) -> None:
    good = _process("path", "--output", str(output))
    assert (good.returncode, good.stdout, good.stderr) == (0, f"{output}/tags/data/run-2\n", "")
    bad = _process("path", "--output", str(tmp_path / "typo"))
    assert bad.returncode == 2 and bad.stdout == ""
    assert bad.stderr.startswith("error: Expected a published tags table") and bad.stderr.count("\n") == 1
    assert _process("path", "--output", "s3://bucket/x").stderr.startswith("error: Expected output.path to be local")
    assert _process("lst", "--output", str(output)).returncode == 2


@pytest.mark.parametrize("command", snapshots.COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        snapshots.main([command, "--help"])
    assert ended.value.code == 0 and "--output" in capsys.readouterr().out
