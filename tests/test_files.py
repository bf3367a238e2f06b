"""Local files: whole or absent, and durable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fashion_udf import files
from fashion_udf.files import make_directory, replace_file


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"old")
    replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new" and os.listdir(tmp_path) == ["a"]


def test_every_new_directory_is_made_durable_in_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync", synced.append)
    make_directory(tmp_path / "a/b")
    assert synced == [tmp_path, tmp_path / "a"]
