"""Open a text file and decompress it. The first bytes tell the compression: a file ending may be missing or wrong."""

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

#: First bytes -> compression.
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # an empty archive
}


class UnpackError(Exception):
    """A file cannot be decompressed, or is truncated. The message names the compression and the cause."""


def compression(head: bytes) -> str | None:
    """Return the compression by the first bytes of a file; None for an uncompressed file."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


@contextmanager
def unpacked(path: str, content: bytes | None = None) -> Iterator[BinaryIO]:
    """Open a file, or its `content`, and decompress it while it is read.

    Raises:
        UnpackError: the file is damaged or truncated, or holds several files. Raised at opening or at reading.
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
            raise UnpackError(f"compressed with {kind}, and damaged or truncated ({error})") from error


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
