"""Local files that are complete or absent after a crash: written under a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Replace the content of a local file in one atomic, durable step."""
    beside = temporary(path)
    try:
        write_synced(beside, data)
        os.replace(beside, path)
    finally:
        discard(beside)
    sync(path.parent)


def make_directory(path: Path) -> None:
    """Create a local directory and its missing parents, each durable in its own parent."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):  # another process created it first
        os.mkdir(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Force a local file's content, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary(path: Path) -> Path:
    """Return a temporary name beside `path` that patterns such as "*.json" or "*.parquet" do not match."""
    return path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"


_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")


def is_temporary(name: str) -> bool:
    """Return whether a file name is one of `temporary`: a killed process may have left the file."""
    return _TEMPORARY.fullmatch(name) is not None


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and force it to the disk."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def discard(path: Path) -> None:
    """Remove a temporary file, and ignore errors."""
    with contextlib.suppress(OSError):  # the file is harmless; an error here would hide the real outcome
        os.unlink(path)
