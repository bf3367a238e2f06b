"""A photo's URI to its bytes, or a reason: files below the configured roots, `data:` URIs, S3, allowed hosts.

A path is taken as it is if it lies below a root. Any other one, and a relative name, is looked up below each root in
turn: `/m/0/a.jpg`, as shops write it, is `<root>/m/0/a.jpg`.

A catalog is foreign input: a path may lead out of the photo folder, to a device, to a pipe that never answers. The file
is opened without blocking. The checks are of the opened file, because its name may lead elsewhere a moment later.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from fashion_udf.photos import encoded
from fashion_udf.photos.photo import Photo, Remote
from fashion_udf.schema import Status

MAX_PATH = 4096  # Linux' PATH_MAX: a longer one names no file

_NO_HOSTS = Remote()
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_STATUS = {
    errno.ENOENT: Status.IMAGE_MISSING,
    errno.ENOTDIR: Status.IMAGE_MISSING,
    errno.ENAMETOOLONG: Status.IMAGE_MISSING,
    errno.ELOOP: Status.IMAGE_FORBIDDEN,
}


def read(uri: str, roots: Sequence[str], max_bytes: int, remote: Remote = _NO_HOSTS, since: str | None = None) -> Photo:
    """Read a photo; whatever the URI, it raises nothing but what ends the run.

    Args:
        uri: a local path, absolute or relative to a root, with any characters, a `file:` URI with percent escapes, a
            `data:` URI, `s3://bucket/key`, or a URL of https or http.
        roots: directories the file must lie in, after links are followed.
        max_bytes: larger files are refused unread.
        remote: where photos may be that are no local files.
        since: an HTTP date, for a URL: its photo is `unchanged` if it was not modified since.

    Raises:
        FashionError: S3 cannot be used at all (see `s3_photos.read`).
    """
    if is_of_s3(uri):
        from fashion_udf.photos import s3_photos  # and with it urllib3, which opens a socket when it is imported

        return s3_photos.read(uri, remote, max_bytes)
    if _scheme(uri) in ("http", "https"):
        from fashion_udf.photos import web_photos

        return web_photos.read(uri, remote, max_bytes, since)
    if uri[:5].lower() == "data:" and "," in uri:
        return Photo(encoded.photo_bytes(uri.encode("utf-8", "replace")), Status.OK, None)
    try:
        path = _local_path(uri)
    except ValueError as error:
        return Photo(None, Status.IMAGE_FORBIDDEN, str(error))
    if not _is_file_name(path):
        return Photo(None, Status.IMAGE_MISSING, "not a file name")
    real_roots = [os.path.realpath(root) for root in roots]
    try:
        return _read_file(_located(path, real_roots), real_roots, max_bytes)
    except OSError as error:
        status = _STATUS.get(error.errno or 0, Status.IMAGE_IO)
        message = os.strerror(error.errno) if error.errno else type(error).__name__
        if "\ufffd" in uri:
            message = f"{message}; the catalog has bytes in this name that are not UTF-8"
        return Photo(None, status, message, identity(uri, roots))  # a file that cannot be opened may have one


def is_of_s3(uri: str) -> bool:
    """Whether a URI names an object of S3."""
    return _scheme(uri) in ("s3", "s3a")


def _scheme(uri: str) -> str:
    """Return the scheme of a URI in small letters; "" for a path."""
    scheme = _SCHEME.match(uri)
    return scheme[1].lower() if scheme else ""


def identity(uri: str, roots: Sequence[str]) -> str | None:
    """Return the `Photo.identity` that `read` would return of a local file, without opening it."""
    try:
        name = _local_path(uri)
        if not _is_file_name(name):
            return None
        real_roots = [os.path.realpath(root) for root in roots]
        path = _located(name, real_roots)
        facts = os.stat(path)
    except (ValueError, OSError):  # another scheme; no such file
        return None
    allowed = _is_below(path, real_roots)
    return _identity(facts) if allowed and stat.S_ISREG(facts.st_mode) else None


def _located(path: str, roots: Sequence[str]) -> str:
    """Return the file that a path means, after links are followed; it may lie below no root, or not exist."""
    given = os.path.realpath(path)
    if os.path.isabs(path) and _is_below(given, roots):
        return given
    below = [os.path.realpath(os.path.join(root, path.lstrip(os.sep))) for root in roots]
    there = (each for each in below if _is_below(each, roots) and os.path.exists(each))
    relative = below[0] if below and not os.path.isabs(path) else given
    return next(there, relative)


def _identity(facts: os.stat_result) -> str:
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _local_path(uri: str) -> str:
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return uri
    if scheme[1].lower() != "file":
        raise ValueError(f"scheme {scheme[1][:20]!r} is not read; expected a local path, file:, s3: or https:")
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise ValueError("file: URI names another host")
    return unquote(parts.path, errors="surrogateescape")


def _is_file_name(text: str) -> bool:
    # Some lone surrogates are undecodable bytes of a file name, as Python reads it from a directory; others never are.
    try:
        return "\0" not in text and len(os.fsencode(text)) <= MAX_PATH
    except UnicodeEncodeError:
        return False


def _read_file(path: str, roots: Sequence[str], max_bytes: int) -> Photo:
    if not _is_below(path, roots):
        return _outside()
    # O_NONBLOCK: opening a pipe waits for a writer otherwise. O_NOFOLLOW: links were resolved, a new one is an attack.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)  # `fdopen` would refuse a directory and leave it open
        return Photo(None, Status.IMAGE_FORBIDDEN, "not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if not _is_below(_opened_path(descriptor, path), roots):
            return _outside()
        identity = _identity(facts)
        if facts.st_size > max_bytes:
            error = f"{facts.st_size} bytes, at most {max_bytes} are accepted"
            return Photo(None, Status.IMAGE_TOO_LARGE, error, identity)
        data = file.read(max_bytes + 1)  # a file that grows while it is read stays bounded
        return Photo(data, Status.OK, None, identity)


def _outside() -> Photo:
    return Photo(None, Status.IMAGE_FORBIDDEN, "not below any of input.image_roots")


def _is_below(path: str, roots: Sequence[str]) -> bool:
    return any(path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _opened_path(descriptor: int, path: str) -> str:
    """Return where the opened file really is: a directory on the way may have become a link since it was resolved."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # no /proc on this system
        return os.path.realpath(path)
