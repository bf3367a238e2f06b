"""What the table asks of a storage system - list, read, create-only write, replace, delete - by URI scheme.

Keys are relative to the output's root, parts joined by "/". `create` is the only operation that decides anything: of
any number of writers of one key exactly one gets `True`. A store reports trouble as `OSError`; a `TimeoutError` or
`ConnectionError` means that the operation may still be applied later, any other `OSError` that it has ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fashion_udf import files
from fashion_udf.errors import ConfigError


@dataclass(frozen=True)
class Store:
    """What a commit needs of a storage system.

    Attributes:
        list_names: prefix -> the names directly under it, sorted; empty where the prefix does not exist.
        read: (key, limit) -> at most `limit` bytes of a plain object; `FileNotFoundError` where there is none.
        create: (key, data) -> True if this call created the object, whole and durable; False if one was there.
        replace: (key, data) -> writes an object anew, or for the first time, in one atomic step.
        replace_pointer: (prefix, target, sql) -> makes `prefix/current` name `target` (a path relative to `prefix`)
            where the store has links, and `prefix/current.sql` hold `sql`, each in one atomic step.
        delete: key -> removes an object; nothing where there is none.
    """

    list_names: Callable[[str], list[str]]
    read: Callable[[str, int], bytes]
    create: Callable[[str, bytes], bool]
    replace: Callable[[str, bytes], None]
    replace_pointer: Callable[[str, str, bytes], None]
    delete: Callable[[str], None]


def open_store(output: str) -> Store:
    """The store of an output location.

    Raises:
        ConfigError: no store is known for the scheme of `output`.
    """
    scheme = _scheme(output)
    if scheme not in STORES:
        known = ", ".join(name + ":" if name else "a plain path" for name in STORES)
        raise ConfigError(f"Expected output.path to be local ({known}). Received: {output}")
    return STORES[scheme](output)


def local_path(output: str) -> Path:
    """The absolute directory of a local output: a plain path, `file:/path` or `file:///path`; `%20` is not decoded.

    Raises:
        ConfigError: `output` has another scheme, or names a host.
    """
    scheme = _scheme(output)
    path = output[len("file:") :] if scheme == "file" else output
    if path.startswith("//") and scheme == "file":
        path = path[2:]
        if not path.startswith("/"):
            raise ConfigError(f"Expected file:///path without a host. Received: {output}")
    if scheme not in ("", "file") or not path:
        raise ConfigError(f"Expected output.path to be a local path. Received: {output!r}")
    return Path(os.path.abspath(path))


def local(output: str) -> Store:
    """A store on a local file system with hard links."""
    root = local_path(output)
    return Store(
        list_names=lambda prefix: _list_names(root / prefix),
        read=lambda key, limit: _read(root / key, limit),
        create=lambda key, data: _create(root / key, data),
        replace=lambda key, data: _replace(root / key, data),
        replace_pointer=lambda prefix, target, sql: _replace_pointer(root / prefix, target, sql),
        delete=lambda key: (root / key).unlink(missing_ok=True),
    )


#: Store factories by the scheme of the output location.
STORES: dict[str, Callable[[str], Store]] = {"": local, "file": local}


def _scheme(output: str) -> str:
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", output)
    return match[1].lower() if match else ""


def _list_names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _read(path: Path, limit: int) -> bytes:
    # Without O_NOFOLLOW a link could lead out of the table; without O_NONBLOCK opening a named pipe would hang.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)


def _create(path: Path, data: bytes) -> bool:
    files.make_directory(path.parent)
    temporary = files.temporary(path)
    try:
        files.write_synced(temporary, data)
        # A rename would replace the winner's file; a link to an existing name fails, on every POSIX file system.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTSUP):
            raise OSError(error.errno, "a commit needs hard links; this file system refused one", str(path)) from error
        raise
    finally:
        files.discard(temporary)
    files.sync(path.parent)
    return True


def _replace(path: Path, data: bytes) -> None:
    files.make_directory(path.parent)
    files.replace_file(path, data)


def _replace_pointer(directory: Path, target: str, sql: bytes) -> None:
    temporary = files.temporary(directory / "current")
    try:
        os.symlink(target, temporary)
        os.replace(temporary, directory / "current")
    finally:
        files.discard(temporary)
    files.replace_file(directory / "current.sql", sql)  # syncs the directory, and with it the link


@dataclass(frozen=True)
class Fault:
    """One failure to inject: raise `error` before or after the operation takes effect."""

    when: Literal["before", "after"]
    error: OSError


@dataclass
class MemoryStore:
    """A store in memory that fails on demand, for tests of what is built on stores.

    An instance is a store factory: `STORES["memory"] = MemoryStore({3: Fault("after", TimeoutError("cut"))})`.

    Attributes:
        faults: by the number of the operation, counted from 1 over all functions.
        objects: content by key.
        operations: what was called, in order, such as `create tags/log/00000001.json`.
    """

    faults: Mapping[int, Fault] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)

    def __call__(self, output: str) -> Store:
        """The store; its content is shared by all stores made from this instance, whatever their `output`."""
        return Store(self.list_names, self.read, self.create, self.replace, self.replace_pointer, self.delete)

    def list_names(self, prefix: str) -> list[str]:
        """Names directly under a prefix, sorted."""
        with self._operation(f"list {prefix}"):
            under = (key.removeprefix(prefix + "/") for key in self.objects if key.startswith(prefix + "/"))
            return sorted(name for name in under if "/" not in name)

    def read(self, key: str, limit: int) -> bytes:
        """The first `limit` bytes of an object."""
        with self._operation(f"read {key}"):
            if key not in self.objects:
                raise FileNotFoundError(errno.ENOENT, "no such object", key)
            return self.objects[key][:limit]

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that is not there yet; False where it is."""
        with self._operation(f"create {key}"):
            if key in self.objects:
                return False
            self.objects[key] = data
            return True

    def replace(self, key: str, data: bytes) -> None:
        """Write an object anew."""
        with self._operation(f"replace {key}"):
            self.objects[key] = data

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        with self._operation(f"delete {key}"):
            self.objects.pop(key, None)

    def replace_pointer(self, prefix: str, target: str, sql: bytes) -> None:
        """Point `current` at a snapshot."""
        with self._operation(f"replace_pointer {prefix}"):
            self.objects[f"{prefix}/current"] = target.encode()
            self.objects[f"{prefix}/current.sql"] = sql

    @contextlib.contextmanager
    def _operation(self, name: str) -> Iterator[None]:
        self.operations.append(name)
        fault = self.faults.get(len(self.operations))
        if fault and fault.when == "before":
            raise fault.error
        yield
        if fault:
            raise fault.error
