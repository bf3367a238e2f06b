"""The interface to a storage system, as a record of functions, and the names of places.

Keys are relative to the output's root, with "/" between their parts. `create` decides races: of all writers of one key,
exactly one gets `True`. A store raises `OSError` for a failure. A `TimeoutError` or `ConnectionError` means that the
operation may still take effect later; any other `OSError` means that it has ended.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fashion_udf.errors import ConfigError


@dataclass(frozen=True)
class StoredFile:
    """An entry of a listing. The key of a directory ends in "/"; object stores may have no directories.

    Attributes:
        key: path relative to the output's root.
        size: bytes.
        time: time of the last change, in seconds since the epoch.
    """

    key: str
    size: int
    time: float


@dataclass(frozen=True)
class Store:
    """The functions of a storage system.

    Attributes:
        list_names: prefix -> the names directly below it, sorted; empty if the prefix does not exist.
        list_files: prefix -> all entries below it at any depth, sorted by key.
        open: key -> the object as a seekable file.
        read: (key, limit) -> at most `limit` bytes of a plain object; `FileNotFoundError` if it does not exist.
        create: (key, data) -> True if this call created the object, complete and durable; False if it existed.
        replace: (key, data) -> writes or replaces an object in one atomic step.
        replace_pointer: (prefix, target, sql) -> makes `prefix/current` name `target` (a path relative to `prefix`; a
            link if the store has links) and `prefix/current.sql` hold `sql`, each in one atomic step.
        delete: key -> removes an object durably; does nothing if it does not exist.
        delete_tree: (prefix, since) -> removes all entries below it; if one changed after `since`, in seconds since the
            epoch, it removes nothing and returns False.
        sync: (prefix, names) -> makes files durable, whichever process wrote them.
    """

    list_names: Callable[[str], list[str]]
    list_files: Callable[[str], list[StoredFile]]
    open: Callable[[str], BinaryIO]
    read: Callable[[str, int], bytes]
    create: Callable[[str, bytes], bool]
    replace: Callable[[str, bytes], None]
    replace_pointer: Callable[[str, str, bytes], None]
    delete: Callable[[str], None]
    delete_tree: Callable[[str, float], bool]
    sync: Callable[[str, list[str]], None]


def scheme(output: str) -> str:
    """Return the scheme of an output in lower case; empty for a plain path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", output)
    return match[1].lower() if match else ""


def is_local(output: str) -> bool:
    """Return whether the output is a local path or a `file:` URI."""
    return scheme(output) in ("", "file")


def local_path(output: str) -> Path:
    """Return the absolute directory of a local output: a path, `file:/path` or `file:///path`, without decoding `%20`.

    Raises:
        ConfigError: `output` has another scheme, or names a host.
    """
    path = output[len("file:") :] if scheme(output) == "file" else output
    if path.startswith("//") and scheme(output) == "file":
        path = path[2:]
        if not path.startswith("/"):
            raise ConfigError(f"Expected file:///path without a host. Received: {output}")
    if not is_local(output) or not path:
        raise ConfigError(f"Expected output.path to be a local path. Received: {output!r}")
    return Path(os.path.abspath(path))


def root_uri(output: str) -> str:
    """Return the output's root for Spark, always with its scheme, so that `fs.defaultFS` has no effect.

    Raises:
        ConfigError: `output` is empty, or a URI lacks its authority.
    """
    if is_local(output):
        return f"file://{local_path(output)}"
    _, separator, rest = output.partition("://")
    if not separator or not rest.strip("/"):
        raise ConfigError(f"Expected output.path as scheme://place/path. Received: {output!r}")
    name = scheme(output)
    return f"{'s3a' if name == 's3' else name}://{rest.rstrip('/')}"
