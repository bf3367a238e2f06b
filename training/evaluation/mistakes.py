"""Rows that a person should look at: the most confident mistakes, and probably wrong labels."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashion_udf.photos.decode import decode

from .decided import Answer

_PHOTO_SIZE = 224  # pixels


@dataclass(frozen=True)
class Mistake:
    """A row whose label differs from the predicted category."""

    product_id: str
    title: str
    label: str
    predicted: str
    confidence: float  # calibrated
    photo: str  # a data URI, "" without a photo


def surest(answer: Answer, count: int) -> NDArray[np.int64]:
    """Return the positions of the wrong rows with the highest confidence, in descending order."""
    wrong = np.flatnonzero(~answer.hits)
    return wrong[np.argsort(-answer.confidence[wrong], kind="stable")][:count]


def suspicious_labels(by_photo: Answer, by_text: Answer, count: int) -> NDArray[np.int64]:
    """Return the positions of rows whose photo alone and text alone predict the same category, but not the label.

    Photo and text are independent evidence. If both contradict the label in the same way, the label is probably wrong.
    The rows are in descending order of the product of the two confidences.
    """
    suspicious = np.flatnonzero((by_photo.chosen == by_text.chosen) & ~by_photo.hits)
    both = (by_photo.confidence * by_text.confidence)[suspicious]
    return suspicious[np.argsort(-both, kind="stable")][:count]


def with_photos(rows: Sequence[Mistake], photos: Mapping[str, bytes]) -> list[Mistake]:
    """Return the rows with their photos, by product id, as small JPEGs."""
    return [Mistake(**{**vars(row), "photo": data_uri(photos.get(row.product_id, b""))}) for row in rows]


def data_uri(photo: bytes) -> str:
    """Return a photo as a JPEG in a data URI, or "" if it cannot be decoded.

    The JPEG is encoded from the decoder's pixels, so that the catalog's bytes never reach a browser.
    """
    pixels = decode(photo, _PHOTO_SIZE).pixels
    if pixels is None:
        return ""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
