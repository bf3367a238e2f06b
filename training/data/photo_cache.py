"""The decoded photos of an epoch, kept for the next one.

An accelerator takes photos faster than a few cores decode them. Every epoch of a stage wants the same squares: the
random changes come later, in the step.
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

_ABSENT = -1  # the place of what is no photo


class PhotoCache:
    """Squares of one size, each decoded when it is first asked for, by any number of threads.

    They lie in a file that is mapped into memory, so that the system keeps in memory what fits there. The file has no
    name: it ends with the process, even one that is killed. What does not fit into the file is decoded each time.
    """

    def __init__(self, size: int, rows: int, most_bytes: int) -> None:
        """Reserve the file in the temporary directory (TMPDIR); where it has no space, go on without a cache.

        Args:
            size: side of a square, in pixels.
            rows: photos that will be asked for.
            most_bytes: of the file.
        """
        self.size = size
        self._kept = (_reserve(min(rows, most_bytes // (size * size * 3)), size), dict[str, int]())
        self._used = 0
        self._lock = threading.Lock()

    def decode(self, product_id: str, data: bytes) -> NDArray[np.uint8] | None:
        """Return the square uint8[size, size, 3] of a product's photo; None if `data` is no photo.

        Args:
            product_id: names the photo; the same id must always come with the same photo.
            data: the file.
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
        places[product_id] = place  # last: another thread reads a square as soon as its place is known
        return pixels

    def close(self) -> None:
        """Give the file back: TensorFlow keeps what a pipeline called until the process ends. Nothing is kept then."""
        with self._lock:
            self._kept, self._used = (_reserve(0, self.size), {}), 0


def _reserve(count: int, size: int) -> NDArray[np.uint8]:
    """Return uint8[count, size, size, 3] in a file; uint8[0, ...] where there is no space for it."""
    shape = (count, size, size, 3)
    if count:
        try:
            with tempfile.TemporaryFile() as file:
                # Reserved now: a disk that fills up later would end the process with SIGBUS.
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
                return np.memmap(file, np.uint8, "r+", shape=shape)
        except OSError as error:
            logger.warning("decoded photos are not kept, no space for %d of %d pixels: %s", count, size, error)
    return np.empty((0, size, size, 3), np.uint8)
