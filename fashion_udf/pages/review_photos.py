"""Photos of the review queue, from where the catalog has them, as JPEG; the last ones are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import pandas as pd

from fashion_udf.errors import CatalogError
from fashion_udf.pages import small_photos
from fashion_udf.pages.review_queue import PhotoPlace
from fashion_udf.photos import parquet_photos
from fashion_udf.photos.parquet_photos import FILE, ROW, PhotoColumn
from fashion_udf.photos.photo import Remote
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.s3 import S3Settings
from fashion_udf.sections import validate

#: Sides of the squares that the page asks for: of the grid, and of the large photo.
SIZES = (160, 640)
_KEPT = 500  # photos: 30 MB
_DECODERS = 2  # at a time: each takes a core


class Photos:
    """The photos of a queue; may be called by several threads."""

    def __init__(self, reading: Mapping[str, Any]) -> None:
        """Remember what photos are read with, `Queue.reading`; nothing is opened before the first photo."""
        self._reading = reading
        self._column, self._remote = _column(reading), _remote(reading)
        self._kept: OrderedDict[tuple[PhotoPlace, int], bytes | None] = OrderedDict()
        self._lock = threading.Lock()
        self._free = threading.Semaphore(_DECODERS)
        self._decoders: list[SandboxedDecoder] = []

    def jpeg(self, place: PhotoPlace, size: int) -> bytes | None:
        """Return a photo; None where there is none, or it cannot be had from this machine."""
        with self._lock:
            if (place, size) in self._kept:
                self._kept.move_to_end((place, size))
                return self._kept[place, size]
        with self._free:
            with self._lock:
                decoder = self._decoders.pop() if self._decoders else SandboxedDecoder(small_photos.SECONDS)
            try:
                photo = self._made(place, size, decoder)
            finally:
                with self._lock:
                    self._decoders.append(decoder)
        with self._lock:
            self._kept[place, size] = photo
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return photo

    def close(self) -> None:
        """End the decoders' processes."""
        with self._lock:
            for decoder in self._decoders:
                decoder.close()
            self._decoders.clear()

    def _made(self, place: PhotoPlace, size: int, decoder: SandboxedDecoder) -> bytes | None:
        if place.image_uri is not None:
            return small_photos.jpeg(place.image_uri, size, decoder, self._reading.get("image_roots", ()), self._remote)
        if self._column is None or place.row is None:
            return None
        row = pd.DataFrame({FILE: [place.file], ROW: [place.row], "product_id": [place.product_id]})
        try:
            with parquet_photos.Reader(self._column) as reader:
                return small_photos.jpeg(next(reader.photos(row)), size, decoder)
        except CatalogError:
            return None  # the catalog is elsewhere, or was written anew since the night


def _column(reading: Mapping[str, Any]) -> PhotoColumn | None:
    if not (photos := reading.get("photos")):
        return None
    return PhotoColumn(tuple(map(tuple, photos["images"])), tuple(photos["product_id"]))


def _remote(reading: Mapping[str, Any]) -> Remote:
    return Remote(
        hosts=tuple(reading.get("image_hosts", ())),
        private_hosts=reading.get("private_image_hosts", False),
        s3=validate(S3Settings, reading.get("s3", {}), "queue.json"),
    )
