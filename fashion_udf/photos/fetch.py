"""Read the bytes of a photo by its URI, or return a reason: local files, `data:` URIs, S3, allowed hosts.

A path below a root is used directly. Other paths, and relative ones, are looked up below each root in turn: for
`/m/0/a.jpg`, a form that shops use, the file is `<root>/m/0/a.jpg`.

A catalog is untrusted input: a path may lead out of the photo folder, to a device, or to a pipe that never answers. So
the file is opened without blocking, and the opened file is checked, because its name may change its meaning.
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

MAX_PATH = 4096  # Linux' PATH_MAX; no file has a longer path

_NO_HOSTS = Remote()
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_STATUS = {
    errno.ENOENT: Status.IMAGE_MISSING,
    errno.ENOTDIR: Status.IMAGE_MISSING,
    errno.ENAMETOOLONG: Status.IMAGE_MISSING,
    errno.ELOOP: Status.IMAGE_FORBIDDEN,
}


def read(uri: str, roots: Sequence[str], max_bytes: int, remote: Remote = _NO_HOSTS, known: str | None = None) -> Photo:
    """Read a photo. For any URI, this function only raises errors that end the run.

    Args:
        uri: a local path, absolute or relative to a root, with any characters; a `file:` URI with percent escapes; a
            `data:` URI; `s3://bucket/key`; or a URL of https or http.
        roots: directories that the file must lie in, after links are resolved.
        max_bytes: larger files are refused without reading them.
        remote: settings of remote photos.
        known: for a URL, the validator of the known photo (see `web_photos.read`).

    Raises:
        FashionError: S3 cannot be used at all (see `s3_photos.read`).
    """
    if is_of_s3(uri):
        from fashion_udf.photos import s3_photos  # and with it urllib3, which opens a socket when it is imported

        return s3_photos.read(uri, remote, max_bytes)
    if _scheme(uri) in ("http", "https"):
        from fashion_udf.photos import web_photos

        return web_photos.read(uri, remote, max_bytes, known)
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
        # The identity may be known although the file cannot be opened.
        return Photo(None, status, message, identity(uri, roots))


def is_of_s3(uri: str) -> bool:
    """Return whether a URI names an object in S3."""
    return _scheme(uri) in ("s3", "s3a")


def _scheme(uri: str) -> str:
    """Return the scheme of a URI in lower case; "" for a path."""
    scheme = _SCHEME.match(uri)
    return scheme[1].lower() if scheme else ""


def identity(uri: str, roots: Sequence[str]) -> str | None:
    """Return the `Photo.identity` that `read` would return for a local file, without opening it."""
    try:
        name = _local_path(uri)
        if not _is_file_name(name):
            return None
        real_roots = [os.path.realpath(root) for root in roots]
        path = _located(name, real_roots)
        facts = os.stat(path)
    except (ValueError, OSError):  # another scheme, or no such file
        return None
    allowed = _is_below(path, real_roots)
    return _identity(facts) if allowed and stat.S_ISREG(facts.st_mode) else None


def _located(path: str, roots: Sequence[str]) -> str:
    """Return the file of a path, after links are resolved. It may be outside of the roots, or not exist."""
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
    # Python uses some lone surrogates for undecodable bytes of a file name. Others never occur in a file name.
    try:
        return "\0" not in text and len(os.fsencode(text)) <= MAX_PATH
    except UnicodeEncodeError:
        return False


def _read_file(path: str, roots: Sequence[str], max_bytes: int) -> Photo:
    if not _is_below(path, roots):
        return _outside()
    # Without O_NONBLOCK, opening a pipe waits for a writer. O_NOFOLLOW: links are resolved, so a new one is an attack.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)  # `fdopen` refuses a directory without closing it
        return Photo(None, Status.IMAGE_FORBIDDEN, "not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if not _is_below(_opened_path(descriptor, path), roots):
            return _outside()
        identity = _identity(facts)
        if facts.st_size > max_bytes:
            error = f"{facts.st_size} bytes, at most {max_bytes} are accepted"
            return Photo(None, Status.IMAGE_TOO_LARGE, error, identity)
        data = file.read(max_bytes + 1)  # the file may grow while it is read
        return Photo(data, Status.OK, None, identity)


def _outside() -> Photo:
    return Photo(None, Status.IMAGE_FORBIDDEN, "not below any of input.image_roots")


def _is_below(path: str, roots: Sequence[str]) -> bool:
    return any(path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _opened_path(descriptor: int, path: str) -> str:
    """Return the real path of the opened file: a directory of the path may have been replaced by a link meanwhile."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # the system has no /proc
        return os.path.realpath(path)
