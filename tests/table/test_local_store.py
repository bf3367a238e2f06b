"""Local stores: one winner per key, whole files only; and the store in memory that fails on demand."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fashion_udf import files
from fashion_udf.errors import ConfigError
from fashion_udf.table.memory_store import Fault, MemoryStore
from fashion_udf.table.store import local_path
from fashion_udf.table.stores import open_store

WRITERS = 8
ROUNDS = 50


def _race(root: str, writer: int, barrier: Any, wins: Any) -> None:
    racer = open_store(root)
    for number in range(ROUNDS):
        barrier.wait()
        if racer.create(f"tags/log/{number:08d}.json", f"writer {writer}".encode() * 1000):
            wins.put((number, writer))
    wins.close()
    wins.join_thread()


def test_of_eight_writers_exactly_one_wins_each_number(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, wins = context.Barrier(WRITERS, timeout=60), context.Queue()
    racers = [context.Process(target=_race, args=(str(tmp_path), writer, barrier, wins)) for writer in range(WRITERS)]
    for racer in racers:
        racer.start()
    won = dict(wins.get(timeout=60) for _ in range(ROUNDS))
    for racer in racers:
        racer.join(60)
    assert wins.empty() and sorted(won) == list(range(ROUNDS))
    for number, writer in won.items():
        assert (tmp_path / f"tags/log/{number:08d}.json").read_bytes() == f"writer {writer}".encode() * 1000
    assert len(os.listdir(tmp_path / "tags/log")) == ROUNDS, "no temporary file stays behind"


def test_an_unfinished_create_is_seen_by_no_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", crash)
    monkeypatch.setattr(files, "discard", lambda path: None)  # as if the process were gone
    with pytest.raises(KeyboardInterrupt):
        open_store(str(tmp_path)).create("log/00000001.json", b"{}")
    (left,) = os.listdir(tmp_path / "log")
    assert left.startswith(".") and not left.endswith((".json", ".parquet"))


def test_a_file_system_without_hard_links_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="a commit needs hard links, which this file system lacks"):
        open_store(str(tmp_path)).create("log/1.json", b"")
    assert os.listdir(tmp_path / "log") == []


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize("plant", [_link, os.mkfifo, os.mkdir])
def test_only_plain_files_are_read(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    plant(tmp_path / "1.json")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="symbolic links|not a regular file"):
        open_store(str(tmp_path)).read("1.json", 100)
    assert len(os.listdir("/proc/self/fd")) == before


def test_replacing_the_pointer_moves_the_link_and_the_view(tmp_path: Path) -> None:
    for snapshot in ("one", "two"):
        (tmp_path / "tags/data" / snapshot).mkdir(parents=True)
        open_store(str(tmp_path)).replace_pointer("tags", f"data/{snapshot}", f"-- {snapshot}\n".encode())
        assert os.readlink(tmp_path / "tags/current") == f"data/{snapshot}"
        assert (tmp_path / "tags/current.sql").read_text() == f"-- {snapshot}\n"
    assert sorted(os.listdir(tmp_path / "tags")) == ["current", "current.sql", "data"]


def test_a_failed_replacement_leaves_the_old_one_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tags").mkdir()
    replace_pointer = open_store(str(tmp_path)).replace_pointer
    replace_pointer("tags", "data/one", b"one")

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        replace_pointer("tags", "data/two", b"two")
    assert sorted(os.listdir(tmp_path / "tags")) == ["current", "current.sql"]
    assert os.readlink(tmp_path / "tags/current") == "data/one"


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("/data/tags", "/data/tags"),
        ("/data/a b", "/data/a b"),
        ("file:/data", "/data"),
        ("file:///data/%20/", "/data/%20"),
        ("FILE:///data", "/data"),
        ("/data/../x", "/x"),
        ("relative", os.path.join(os.getcwd(), "relative")),
    ],
)
def test_a_local_output_is_a_path_or_a_file_uri(output: str, path: str) -> None:
    assert local_path(output) == Path(path)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("s3://bucket/tags", r"Expected output\.path to be a local path\. Received: 's3://bucket/tags'"),
        ("file://host/data", r"Expected file:///path without a host\. Received: file://host/data"),
        ("", r"Expected output\.path to be a local path\. Received: ''"),
    ],
)
def test_any_other_output_is_not_a_local_path(output: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        local_path(output)


def test_an_injected_fault_strikes_before_or_after_the_effect() -> None:
    memory = MemoryStore({1: Fault("before", OSError("lost")), 2: Fault("after", TimeoutError("cut"))})
    with pytest.raises(OSError, match="lost"):
        memory.create("a", b"1")
    assert memory.objects == {}
    with pytest.raises(TimeoutError, match="cut"):
        memory.create("a", b"1")
    assert memory.objects == {"a": b"1"}
    assert not memory.create("a", b"1")
    assert memory.operations == ["create a"] * 3
