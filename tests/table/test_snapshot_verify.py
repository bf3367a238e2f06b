"""Damaged snapshots and damaged logs: each is refused, and named."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_udf import files
from fashion_udf.errors import SnapshotError
from fashion_udf.table import data_files, paths, snapshot
from tests.tables import publish


def test_verify_catches_every_flipped_byte(tmp_path: Path) -> None:
    commit = publish(tmp_path, ["1", "2"], ["3"])
    seeded = random.Random(0)
    for _ in range(300):
        path = paths.data_dir(str(tmp_path), commit) / seeded.choice(commit.files).name
        data = path.read_bytes()
        changed = bytearray(data)
        changed[seeded.randrange(len(data))] ^= seeded.randrange(1, 256)
        path.write_bytes(changed)
        with pytest.raises(SnapshotError, match=f"as commit 1 describes it. Received: {path.name}: sha256 .*, not "):
            snapshot.verify(str(tmp_path), commit)
        path.write_bytes(data)
    snapshot.verify(str(tmp_path), commit)


def _swap_files(directory: Path) -> None:
    first, second = sorted(directory.iterdir())[:2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _link_away(directory: Path) -> None:
    path = sorted(directory.iterdir())[0]
    path.rename(directory.parent / "elsewhere.parquet")
    path.symlink_to(directory.parent / "elsewhere.parquet")


def _link_directory(directory: Path) -> None:
    directory.rename(directory.parent / "elsewhere")
    directory.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("damage", "received"),
    [
        (lambda d: (d / "r-part-00000.parquet").unlink(), "r-part-00000.parquet: missing"),
        (lambda d: os.truncate(d / "r-part-00001.parquet", 9), r"r-part-00001\.parquet: 9 bytes, not \d+"),
        (lambda d: (d / "extra.parquet").touch(), "extra.parquet: not in the commit"),
        (lambda d: (d / ".r-part-00000.parquet.crc").touch(), r"\.r-part-00000\.parquet\.crc: not in the commit"),
        (_swap_files, "r-part-00000.parquet: .*; r-part-00001.parquet: "),
        (_link_away, "r-part-00000.parquet: missing, or not a plain file"),
        (_link_directory, "r-part-00000.parquet: missing, or not a plain file"),
        (shutil.rmtree, "r-part-00000.parquet: missing.*; r-part-00001.parquet: missing"),
    ],
)
def test_verify_names_each_problem(tmp_path: Path, damage: Callable[[Path], object], received: str) -> None:
    commit = publish(tmp_path, ["1", "2"], ["three"], run_id="r")
    damage(paths.data_dir(str(tmp_path), commit))
    with pytest.raises(SnapshotError, match=f"as commit 1 describes it. Received: {received}"):
        snapshot.verify(str(tmp_path), commit)


def test_what_a_killed_writer_left_is_no_file_of_a_snapshot(tmp_path: Path) -> None:
    """A worker that is killed while it links a file leaves the temporary name; Spark's next attempt writes the file."""
    commit = publish(tmp_path, ["1"], run_id="r")
    left = files.temporary(paths.data_dir(str(tmp_path), commit) / "r-part-00000.parquet")
    left.write_bytes(b"half")
    snapshot.verify(str(tmp_path), commit)
    data_files.require_listed(str(tmp_path), commit)
    assert set(data_files.inside(paths.snapshot_dir(str(tmp_path), "r"))) == {"r-part-00000.parquet"}


def test_verify_counts_rows_itself(tmp_path: Path) -> None:
    commit = publish(tmp_path, ["1"], run_id="r")
    wrong = dataclasses.replace(commit, files=(dataclasses.replace(commit.files[0], rows=2),))
    with pytest.raises(SnapshotError, match="r-part-00000.parquet: 1 rows, not 2"):
        snapshot.verify(str(tmp_path), wrong)


# ---- hostile logs on a real file system


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (lambda path: path.write_bytes(b""), "Expected an unaltered commit in tags/log/00000002.json"),
        (lambda path: path.write_text("{"), "unaltered commit in tags/log"),
        (lambda path: path.symlink_to("/etc/passwd"), "Expected a readable tags/log/00000002.json"),
        (lambda path: path.symlink_to(path.parent / "nowhere"), "Expected a readable tags/log/00000002.json"),
        (os.mkfifo, "Expected a readable tags/log/00000002.json. Received: .*not a regular file"),
        (os.mkdir, "Expected a readable tags/log/00000002.json. Received: .*not a regular file"),
        (lambda path: shutil.copy(path.parent / "00000001.json", path), "Expected commit 2 in .* Received: commit 1"),
        (lambda path: (path.parent / "x.json").touch(), "Expected only names such as 00000042.json"),
        (lambda path: (path.parent / "00000003.json").touch(), "Expected tags/log/00000002.json before"),
    ],
)
def test_a_damaged_log_is_refused_by_name(tmp_path: Path, plant: Callable[[Path], object], message: str) -> None:
    publish(tmp_path, ["1"])
    plant(tmp_path / "tags/log/00000002.json")
    with pytest.raises(SnapshotError, match=message):
        snapshot.current(str(tmp_path))


def test_a_log_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags/log").touch()
    with pytest.raises(SnapshotError, match="Expected a readable tags/log. Received: .*Not a directory"):
        snapshot.current(str(tmp_path))
