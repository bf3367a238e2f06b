"""Photos of the review queue as JPEG, read from the catalog, with a cache of the last ones."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import pandas as pd

from fashion_udf.errors import CatalogError
from fashion_udf.pages.review_queue import PhotoPlace
from fashion_udf.photos import parquet_photos, small_photos
from fashion_udf.photos.parquet_photos import FILE, ROW, PhotoColumn
from fashion_udf.photos.photo import Remote
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.s3 import S3Settings
from fashion_udf.sections import validate

#: Sizes of the page's photos in pixels: in the grid, and of the large photo.
SIZES = (160, 640)
_KEPT = 500  # cached photos: 30 MB
_DECODERS = 2  # decoders at a time: each uses a core


class Photos:
    """The photos of a queue. Several threads may use it."""

    def __init__(self, reading: Mapping[str, Any]) -> None:
        """Set the settings to read photos, `Queue.reading`. Nothing is opened before the first photo."""
        self._reading = reading
        self._column, self._remote = _column(reading), _remote(reading)
        self._kept: OrderedDict[tuple[PhotoPlace, int], bytes | None] = OrderedDict()
        self._lock = threading.Lock()
        self._free = threading.Semaphore(_DECODERS)
        self._decoders: list[SandboxedDecoder] = []

    def jpeg(self, place: PhotoPlace, size: int) -> bytes | None:
        """Return a photo; None if there is none, or this machine cannot read it."""
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
            return None  # the catalog is on another machine, or was replaced since the run


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
