"""Read the files of a bundle: from a directory that others cannot write to, or from a URI, with a pinned digest."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from fashion_udf.errors import BundleError
from fashion_udf.model.manifest import ADVICE

_DIRECTORY = "openvino"


@dataclass(frozen=True)
class Files:
    """The files of a bundle: `names()` lists them, `read(name, limit)` reads one of at most `limit` bytes."""

    names: Callable[[], set[str]]
    read: Callable[[str, int], bytes]


class Folder(Protocol):
    """A remote folder: the part of `fashion_udf.table.store.Store` that a bundle needs."""

    @property
    def list_names(self) -> Callable[[str], list[str]]:
        """Return the names directly below a prefix."""

    @property
    def read(self) -> Callable[[str, int], bytes]:
        """Return an object's bytes, up to a limit."""


@contextmanager
def in_directory(folder: str, foreign: bool) -> Iterator[Files]:
    """Yield the files of a local directory. `foreign` refuses links and files that everybody can write.

    Raises:
        BundleError: the path is no directory, or everybody can write to it.
    """
    root = _open_directory(folder, None, foreign)
    try:
        yield Files(lambda: _names(root, foreign), lambda name, limit: _read_file(root, name, limit, foreign))
    finally:
        os.close(root)


def elsewhere(uri: str, open_folder: Callable[[str], Folder]) -> Files:
    """Return the files below a URI. A file that cannot be read raises `OSError`."""
    parent, _, folder = uri.rstrip("/").rpartition("/")
    at = open_folder(parent)

    def names() -> set[str]:
        inside = set(at.list_names(folder))
        return inside - {_DIRECTORY} | {f"{_DIRECTORY}/{name}" for name in at.list_names(f"{folder}/{_DIRECTORY}")}

    return Files(names, lambda name, limit: _within(name, at.read(f"{folder}/{name}", limit + 1), limit))


def _names(root: int, foreign: bool) -> set[str]:
    names = set(os.listdir(root))
    if _DIRECTORY not in names:
        return names
    inner = _open_directory(_DIRECTORY, root, foreign)
    try:
        return names - {_DIRECTORY} | {f"{_DIRECTORY}/{name}" for name in os.listdir(inner)}
    finally:
        os.close(inner)


def _open_directory(path: str, parent: int | None, foreign: bool) -> int:
    # The bundle's folder may be a link, which the operator made. A folder inside the bundle may not.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if parent is None else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, dir_fd=parent)
    except (OSError, ValueError) as error:
        raise BundleError(f"Expected {path!r} to be a directory, and no link. Received: {_reason(error)}") from error
    if foreign and os.fstat(descriptor).st_mode & stat.S_IWOTH:
        os.close(descriptor)
        raise BundleError(f"Expected {path} to be closed to others. Received: anybody may write. Try chmod o-w")
    return descriptor


def _read_file(root: int, name: str, limit: int, foreign: bool) -> bytes:
    try:
        # Without O_NONBLOCK, opening a named pipe waits for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=root)
    except OSError as error:
        raise BundleError(f"Expected {name} to be a plain file. Received: {_reason(error)}. {ADVICE}") from error
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise BundleError(f"Expected {name} to be a plain file. Received: a directory or device. {ADVICE}")
        if foreign and info.st_nlink != 1:
            raise BundleError(f"Expected {name} to be a plain file. Received: a hard link. {ADVICE} with cp")
        if foreign and info.st_mode & stat.S_IWOTH:
            raise BundleError(f"Expected {name} to be closed to others. Received: anybody may write. Try chmod o-w")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    return _within(name, data, limit)


def _within(name: str, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise BundleError(f"Expected {name} to have at most {limit} bytes. Received: more. {ADVICE}")
    return data


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return "a symbolic link" if error.errno == errno.ELOOP else str(error.strerror)
