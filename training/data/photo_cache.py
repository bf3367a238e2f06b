"""A cache of the decoded photos of an epoch for the next one.

A few cores decode photos more slowly than an accelerator processes them. All epochs of a stage use the same squares,
because random changes are made later, in the step.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading

import numpy as np
from numpy.typing import NDArray

from fashion_udf.photos.decode import decode

logger = logging.getLogger(__name__)

_ABSENT = -1  # the place of a file that is no photo


class PhotoCache:
    """Squares of one size, each decoded at its first use. Any number of threads may use the cache.

    The squares are in a file that is mapped into memory, so that the operating system decides how much is in memory.
    The file has no name, so that it disappears with the process. Photos that do not fit into the file are decoded each
    time.
    """

    def __init__(self, size: int, rows: int, most_bytes: int) -> None:
        """Reserve the file in the temporary directory (TMPDIR). Without enough space, nothing is cached.

        Args:
            size: side of a square, in pixels.
            rows: number of photos.
            most_bytes: maximum of bytes of the file.
        """
        self.size = size
        self._kept = (_reserve(min(rows, most_bytes // (size * size * 3)), size), dict[str, int]())
        self._used = 0
        self._lock = threading.Lock()

    def decode(self, product_id: str, data: bytes) -> NDArray[np.uint8] | None:
        """Return the square uint8[size, size, 3] of a product's photo; None if `data` is no photo.

        Args:
            product_id: id of the photo. The same id must always have the same photo.
            data: bytes of the photo's file.
        """
        squares, places = self._kept
        place = places.get(product_id)
        if place is not None:
            return None if place == _ABSENT else squares[place]
        pixels = decode(data, self.size).pixels
        with self._lock:
            place = _ABSENT if pixels is None else self._used
            if place == len(squares):
                return pixels
            self._used += place != _ABSENT
        if pixels is not None:
            squares[place] = pixels
        places[product_id] = place  # set last, because other threads read a square as soon as its place is known
        return pixels

    def close(self) -> None:
        """Release the file now: TensorFlow keeps the functions of a pipeline until the process ends."""
        with self._lock:
            self._kept, self._used = (_reserve(0, self.size), {}), 0


def _reserve(count: int, size: int) -> NDArray[np.uint8]:
    """Return uint8[count, size, size, 3] in a file; uint8[0, ...] without enough space."""
    shape = (count, size, size, 3)
    if count:
        try:
            with tempfile.TemporaryFile() as file:
                # The space is reserved now, because a full disk would later end the process with SIGBUS.
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
                return np.memmap(file, np.uint8, "r+", shape=shape)
        except OSError as error:
            logger.warning("decoded photos are not cached: no space for %d of %d pixels (%s)", count, size, error)
    return np.empty((0, size, size, 3), np.uint8)
