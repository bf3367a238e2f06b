"""Rows with a picture that shows no product, of kinds that training does not use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from PIL import Image

from ..data.dataset import OTHER
from ..data.odd_photos import HELD_OUT, odd_photos

COUNT = 120
_SEED = 1


def rows(size: int) -> Iterator[dict[str, Any]]:
    """Yield `COUNT` rows of a training set without a text, always the same. `size` is the pictures' size in pixels."""
    for number, picture in enumerate(odd_photos(COUNT, _SEED, size, kinds=HELD_OUT)):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        yield {
            "product_id": f"odd-{number}",
            "text": "",
            "image": file.getvalue(),
            "category": OTHER,
            "attributes": "{}",
        }
