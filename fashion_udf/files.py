"""Local files that are whole or absent after a crash: written beside their name, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Give a local file new content in one atomic, durable step."""
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
    with contextlib.suppress(FileExistsError):  # another writer of the same table was faster
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
    """A name beside `path` that no reader's pattern such as "*.json" or "*.parquet" matches."""
    return path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"


def write_synced(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and force it to the disk."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def discard(path: Path) -> None:
    """Remove a left-over, if that can be done."""
    with contextlib.suppress(OSError):  # a left-over is harmless; an error here would hide the outcome
        os.unlink(path)
