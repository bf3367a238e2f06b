"""The snapshots command: what it prints, and the exit code when there is nothing to print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.commands import snapshots
from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.table import pins, snapshot
from tests.similar import published
from tests.submit import REPOSITORY
from tests.tables import publish


@pytest.fixture
def output(tmp_path: Path) -> Path:
    publish(tmp_path / "out", ["1"], run_id="run-1")
    publish(tmp_path / "out", ["1", "2"], ["3"], run_id="run-2")
    return tmp_path / "out"


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    snapshots.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def _json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return json.loads(_run(capsys, *arguments, "--json"))


def test_list_names_every_commit_oldest_first(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, _, first, second = _run(capsys, "list", "--output", output).splitlines()
    assert header.split() == ["number", "kind", "time", "rows", "bytes", "model", "snapshot", "state"]
    assert first.split()[:2] == ["1", "publish"] and first.split()[5:] == ["v1", "run-1"]
    assert second.split()[3] == "3" and second.split()[5:] == ["v1", "run-2", "current"]


def test_json_is_for_programs(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = _json(capsys, "list", "--output", output)
    assert [(item["number"], item["snapshot"], item["current"]) for item in listed] == [
        (1, "run-1", False),
        (2, "run-2", True),
    ]
    shown = _json(capsys, "show", "--output", output, "--number", 1)
    assert [file["name"] for file in shown.pop("files")] == ["run-1-part-00000.parquet"] and shown == listed[0]
    changes = _json(capsys, "diff", "--output", output, 1, 2)
    assert (changes["added"], changes["gone"], changes["rows_after"]) == (2, 0, 3)


def test_diff_shows_what_the_later_changed(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = _run(capsys, "diff", "--output", output, 1, 2, "--rows", 1)
    assert "added                2\n" in text and "added, such as\n--------------\n2\n" in text


def test_a_pin_is_shown_until_it_is_removed(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pin = ("pin", "--output", output, "--number", 1, "--note", "keep")
    assert _run(capsys, *pin) == "snapshot run-1 is pinned\n"
    assert _run(capsys, *pin) == "snapshot run-1 was already pinned\n"
    assert "pinned: keep" in _run(capsys, "list", "--output", output)
    unpin = ("unpin", "--output", output, "--number", 1)
    assert _run(capsys, *unpin) == "snapshot run-1 is no longer pinned\n"
    assert _run(capsys, *unpin) == "snapshot run-1 was not pinned\n"


def test_rollback_makes_the_older_snapshot_current(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(capsys, "rollback", "--output", output, "--to", 1) == "commit 3 names snapshot run-1, 1 rows\n"
    assert _run(capsys, "path", "--output", output) == f"{output}/tags/data/run-1\n"
    assert [item["kind"] for item in _json(capsys, "list", "--output", output)] == ["publish", "publish", "rollback"]
    with pytest.raises(InputError, match="Expected --to of a commit from 1 to 3. Received: 9"):
        _run(capsys, "rollback", "--output", output, "--to", 9)


_EXPIRE_ALL = ("expire", "--older-than", "0s", "--keep", 1, "--grace", "0s")


def test_expire_prints_what_it_removes(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = _run(capsys, *_EXPIRE_ALL, "--output", output, "--dry-run")
    assert planned.endswith(" bytes would be removed (dry run)\n")
    assert (output / "tags/data/run-1").exists()
    done = _run(capsys, *_EXPIRE_ALL, "--output", output)
    assert done.split()[:4] == ["removed", "name", "days", "old"] and "snapshot  run-1" in done
    assert done.splitlines()[:-1] == planned.splitlines()[:-1] and done.endswith(" bytes removed\n")
    assert not (output / "tags/data/run-1").exists()
    assert _run(capsys, *_EXPIRE_ALL, "--output", output).splitlines()[-1] == "0 bytes removed"


def test_expire_removes_nothing_young_by_default(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(capsys, "expire", "--output", output).splitlines()[-1] == "0 bytes removed"


def test_what_could_not_be_removed_is_an_error_after_the_table(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (output / "tags/data/run-1/mine.txt").touch()
    with pytest.raises(
        SnapshotError, match=r"remove all old files. Received: .*run-1: .*not empty.*\. Run expire again"
    ):
        _run(capsys, *_EXPIRE_ALL, "--output", output)
    assert capsys.readouterr().out.endswith("0 bytes removed\n")


@pytest.mark.parametrize(
    "command",
    [
        ("path", "--number", 1),
        ("verify", "--number", 1),
        ("diff", 1, 2),
        ("rollback", "--to", 1),
        ("pin", "--number", 1),
    ],
)
def test_an_expired_snapshot_is_called_so(
    output: Path, capsys: pytest.CaptureFixture[str], command: tuple[object, ...]
) -> None:
    _run(capsys, *_EXPIRE_ALL, "--output", output)
    with pytest.raises(SnapshotError, match="Received: commit 1, whose snapshot run-1 has expired"):
        _run(capsys, *command, "--output", output)
    assert "expired" in _run(capsys, "list", "--output", output).splitlines()[2]
    assert "state      expired\n" in _run(capsys, "show", "--output", output, "--number", 1)


def test_verify_all_reads_every_snapshot_that_is_kept(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(output, ["4"], run_id="run-3")
    pins.pin(str(output), snapshot.read_log(str(output))[1])
    _run(capsys, *_EXPIRE_ALL, "--output", output)
    first, second, third = _run(capsys, "verify", "--output", output, "--all").splitlines()
    assert first == "commit 1: its snapshot has expired"
    assert second.startswith("commit 2: 2 files, 3 rows") and third.startswith("commit 3: 1 files, 1 rows")
    for name in ("run-2", "run-3"):
        os.truncate(output / f"tags/data/{name}/{name}-part-00000.parquet", 10)
    with pytest.raises(
        SnapshotError, match="run-2-part-00000.parquet: 10 bytes.* | .*run-3-part-00000.parquet: 10 bytes"
    ):
        _run(capsys, "verify", "--output", output, "--all")


def test_the_current_snapshot_is_read_whatever_a_tombstone_says(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (output / "tags/expired").mkdir()
    (output / "tags/expired/run-2.x.json").write_text("garbage")
    assert _run(capsys, "path", "--output", output) == f"{output}/tags/data/run-2\n"
    _run(capsys, "verify", "--output", output)


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
    with pytest.raises(InputError, match="Expected the number of a commit up to 2. Received: 3"):
        _run(capsys, "show", "--output", output, "--number", 3)


@pytest.mark.parametrize("command", [name for name in snapshots.COMMANDS if name != "publish"])
def test_an_output_without_a_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    more = {"diff": [1, 2], "pin": ["--number", 1], "unpin": ["--number", 1], "rollback": ["--to", 1]}
    with pytest.raises(InputError, match="Expected a published tags table in --output. Received: .*has no commit"):
        _run(capsys, command, "--output", tmp_path, *more.get(command, []))


def test_lists_of_similar_products_are_listed_verified_rolled_back_pinned_and_expired(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    similar = ("--table", "similar", "--output", output)
    with pytest.raises(InputError, match="has no commit"):
        _run(capsys, "list", *similar)
    for run_id, lists in (("one", {"a": ["b"], "b": []}), ("two", {"a": []}), ("three", {"b": ["a"]})):
        published.publish(output, lists, model_version="v1", run_id=run_id)
    assert [(item["snapshot"], item["rows"], item["current"]) for item in _json(capsys, "list", *similar)] == [
        ("one", 2, False),
        ("two", 1, False),
        ("three", 1, True),
    ]
    assert _run(capsys, "rollback", "--to", 1, *similar) == "commit 4 names snapshot one, 2 rows\n"
    assert _run(capsys, "path", *similar) == f"{output / 'similar/data/one'}\n"
    assert [file["rows"] for file in _json(capsys, "show", "--number", 4, *similar)["files"]] == [2]
    assert "commit 4: 1 files, 2 rows" in _run(capsys, "verify", "--all", *similar)
    assert snapshot.newest(str(output)).number == 2, "the tags are as they were"
    _run(capsys, "pin", "--number", 3, *similar)
    age = ("--older-than", "0s", "--grace", "0s", "--keep", "1", "--output", output)
    assert [line.split()[:4] for line in _run(capsys, "expire", *age).splitlines() if "similar" in line] == [
        ["snapshot", "of", "similar", "two"]
    ]
    published.publish(output, {"a": []}, model_version="v0", run_id="old")
    with pytest.raises(InputError, match="of lists of the model of the current tags, v1. Received: commit 5, of v0"):
        _run(capsys, "rollback", "--to", 5, *similar)


def test_a_refused_run_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="Expected a refused run in .*staging/run-9. Received: FileNotFoundError"):
        _run(capsys, "publish", "--output", tmp_path, "--run", "run-9", "--accept", "flips")


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(REPOSITORY / "jobs/snapshots.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_it_runs_without_spark_and_ends_with_its_exit_code(output: Path, tmp_path: Path) -> None:
    good = _process("path", "--output", str(output))
    assert (good.returncode, good.stdout, good.stderr) == (0, f"{output}/tags/data/run-2\n", "")
    bad = _process("path", "--output", str(tmp_path / "typo"))
    assert bad.returncode == 2 and bad.stdout == ""
    assert bad.stderr.startswith("error: Expected a published tags table") and bad.stderr.count("\n") == 1
    no_place = _process("path", "--output", "s3:bucket/x").stderr
    assert no_place == "error: Expected output.path as scheme://place/path. Received: 's3:bucket/x'\n"
    assert _process("lst", "--output", str(output)).returncode == 2


@pytest.mark.parametrize("command", snapshots.COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        snapshots.main([command, "--help"])
    assert ended.value.code == 0 and "--output" in capsys.readouterr().out
