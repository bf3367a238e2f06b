"""A remote file that is read part by part, with one request to the store for each part."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO, cast


def opened(
    read: Callable[[int, int], bytes], size: int, buffer: int, close: Callable[[], None] | None = None
) -> BinaryIO:
    """Return a seekable file of known size.

    Args:
        read: (start, count) -> exactly `count` bytes.
        size: bytes of the file.
        buffer: bytes of a request.
        close: called once, when the file is closed.
    """
    return cast(BinaryIO, io.BufferedReader(_RangedFile(read, size, close), buffer))


class _RangedFile(io.RawIOBase):
    def __init__(self, read: Callable[[int, int], bytes], size: int, close: Callable[[], None] | None) -> None:
        self._read, self._size, self._close, self._position = read, size, close, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._position)
        if count <= 0:
            return 0
        buffer[:count] = self._read(self._position, count)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed and self._close is not None:
            self._close()
        super().close()
