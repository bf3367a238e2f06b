"""What the table asks of a storage system, as a record of functions, and how places are named.

Keys are relative to the output's root, parts joined by "/". `create` is the only operation that decides anything: of
any number of writers of one key exactly one gets `True`. A store reports trouble as `OSError`; a `TimeoutError` or
`ConnectionError` means that the operation may still be applied later, any other `OSError` that it has ended.
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
    """A file as it is listed; a directory's key ends in "/", and object stores need not have any.

    Attributes:
        key: relative to the output's root.
        size: bytes.
        time: of its last change, in seconds since the epoch.
    """

    key: str
    size: int
    time: float


@dataclass(frozen=True)
class Store:
    """What the table needs of a storage system.

    Attributes:
        list_names: prefix -> the names directly under it, sorted; empty where the prefix does not exist.
        list_files: prefix -> everything under it at any depth, sorted by key.
        open: key -> the file, which can be read from any place.
        read: (key, limit) -> at most `limit` bytes of a plain object; `FileNotFoundError` where there is none.
        create: (key, data) -> True if this call created the object, whole and durable; False if one was there.
        replace: (key, data) -> writes an object anew, or for the first time, in one atomic step.
        replace_pointer: (prefix, target, sql) -> makes `prefix/current` name `target` (a path relative to `prefix`; a
            link where the store has links) and `prefix/current.sql` hold `sql`, each in one atomic step.
        delete: key -> removes an object, durably; nothing where there is none.
        delete_tree: (prefix, since) -> removes everything under it, unless something changed after `since`, in seconds
            since the epoch: then it returns False and leaves all of it.
        sync: (prefix, names) -> what was written there, by whomever, survives a power cut.
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
    """The scheme of an output in lower case; empty for a plain path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", output)
    return match[1].lower() if match else ""


def is_local(output: str) -> bool:
    """Whether Python reaches the output by paths."""
    return scheme(output) in ("", "file")


def local_path(output: str) -> Path:
    """The absolute directory of a local output: a plain path, `file:/path` or `file:///path`; `%20` is not decoded.

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
    """The output's root as Spark takes it: always with its scheme, so that `fs.defaultFS` decides nothing.

    Raises:
        ConfigError: `output` is empty, or a URI without an authority where one is needed.
    """
    if is_local(output):
        return f"file://{local_path(output)}"
    _, separator, rest = output.partition("://")
    if not separator or not rest.strip("/"):
        raise ConfigError(f"Expected output.path as scheme://place/path. Received: {output!r}")
    name = scheme(output)
    return f"{'s3a' if name == 's3' else name}://{rest.rstrip('/')}"
