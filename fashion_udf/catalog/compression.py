"""A text file opened for reading, unpacked by what its first bytes say: an ending may be missing or wrong."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import pyarrow as pa

#: First bytes -> the compression they tell.
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # without members
}


class UnpackError(Exception):
    """A file that cannot be unpacked, or is cut: says which compression, and why."""


def compression(head: bytes) -> str | None:
    """Return the compression that the first bytes of a file tell, or None."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


@contextmanager
def unpacked(path: str, content: bytes | None = None) -> Iterator[BinaryIO]:
    """Open a file, or its `content`, for reading what was packed in it.

    Raises:
        UnpackError: while it is opened or read: it is damaged or cut, or holds several files.
        OSError: the file cannot be opened.
    """
    with open(path, "rb") if content is None else io.BytesIO(content) as raw:
        kind = compression(raw.read(8))
        raw.seek(0)
        if kind is None:
            yield raw
            return
        try:
            with _UNPACKERS[kind](cast(Any, raw)) as stream:
                yield stream
        except (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException) as error:
            raise UnpackError(f"compressed with {kind}, and damaged or cut ({error})") from error


def _zip(raw: BinaryIO) -> BinaryIO:
    archive = zipfile.ZipFile(raw)
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if "[Content_Types].xml" in names:
        raise UnpackError("an Excel workbook: save it as CSV")
    data = [name for name in names if not name.startswith("__MACOSX/") and not name.rsplit("/", 1)[-1].startswith(".")]
    if len(data) != 1:
        raise UnpackError(f"a zip archive of {len(data)} files: unpack it")
    return cast(BinaryIO, archive.open(data[0]))


def _by_arrow(name: str) -> Callable[[BinaryIO], BinaryIO]:
    return lambda raw: cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), name))


_UNPACKERS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    "gzip": lambda raw: cast(BinaryIO, gzip.GzipFile(fileobj=raw)),
    "bzip2": lambda raw: cast(BinaryIO, bz2.BZ2File(raw)),
    "xz": lambda raw: cast(BinaryIO, lzma.LZMAFile(raw)),
    "zstd": _by_arrow("zstd"),
    "lz4": _by_arrow("lz4"),
    "zip": _zip,
}
