"""Outliers: rows without a known category that are added to each epoch: odd pictures and titles of other goods.

A model that was only trained on its categories assigns one of them to everything. The held-out kinds are never used
here (see `held_out`).
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

#: Prefix of the ids of these rows.
PREFIX = "outlier "
_SPOILED = 64  # number of product photos that odd pictures are made of


class Outliers(Section):
    """How many of these rows are added to an epoch: pictures without text, and titles without a photo."""

    photos: int = Field(0, ge=0)
    titles: int = Field(0, ge=0)

    @property
    def rows(self) -> int:
        """Number of rows of both kinds."""
        return self.photos + self.titles


def outlier_rows(settings: Outliers, folder: Path, size: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of one epoch, with the columns of `TRAINING_SET`. The same arguments yield the same rows.

    Args:
        settings: the numbers of rows.
        folder: the split whose photos are changed.
        size: side of the pictures, in pixels.
        seed: seed of the random generator.
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
    """Encode a picture without loss, in a format that is fast to write."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "BMP")
    return file.getvalue()
