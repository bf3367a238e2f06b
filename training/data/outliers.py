"""Rows of no category that join each epoch of training: odd pictures and titles of other goods.

A model that has seen its categories alone takes anything for one of these. The kinds that are for judging alone are
never among them (see `held_out`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image
from pydantic import Field

from fashion_udf.config import Section
from fashion_udf.photos.decode import decode

from . import dataset, odd_photos, other_goods
from .odd_photos import Picture

#: What the ids of these rows start with.
PREFIX = "outlier "
_SPOILED = 64  # different product photos that odd pictures are made of


class Outliers(Section):
    """How many of these rows join an epoch: pictures without text, and titles without a photo."""

    photos: int = Field(0, ge=0)
    titles: int = Field(0, ge=0)

    @property
    def rows(self) -> int:
        """Both together."""
        return self.photos + self.titles


def outlier_rows(settings: Outliers, folder: Path, size: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of one epoch, as `training.data.dataset.TRAINING_SET` has them; the same for the same arguments.

    Args:
        settings: how many.
        folder: the split whose photos are spoiled.
        size: side of the pictures, in pixels.
        seed: of the draws.
    """
    empty = {"image": b"", "text": "", "category": dataset.OTHER, "attributes": "{}"}
    if settings.photos:
        photos = list(islice(_photos(folder, size), _SPOILED))
        pictures = odd_photos.odd_photos(settings.photos, seed, size, photos, odd_photos.TRAINED)
        for number, picture in enumerate(pictures):
            yield {**empty, "product_id": f"{PREFIX}photo {number}", "image": _bmp(picture)}
    for number, title in enumerate(other_goods.titles(settings.titles, seed)):
        yield {**empty, "product_id": f"{PREFIX}title {number}", "text": title}


def _photos(folder: Path, size: int) -> Iterator[Picture]:
    for file in dataset.require_plain_parquet(folder):
        for batch in pq.ParquetFile(file).iter_batches(_SPOILED, columns=["image"]):
            for data in batch["image"].to_pylist():
                pixels = decode(data, size).pixels
                if pixels is not None:
                    yield pixels


def _bmp(picture: Picture) -> bytes:
    """Encode without loss, in the least time."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "BMP")
    return file.getvalue()
