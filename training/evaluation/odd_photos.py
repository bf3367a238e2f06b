"""Pictures that are no product: noise, blurred noise, gradients, stripes and flat colours, drawn from seeds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ..data.dataset import OTHER

COUNT = 100
_SIZE = 224  # pixels


def rows() -> Iterator[dict[str, Any]]:
    """Yield `COUNT` rows of a training set with such a picture and without a text, the same each time."""
    for number in range(COUNT):
        draws = np.random.default_rng(number)
        picture = _KINDS[number % len(_KINDS)](draws)
        file = io.BytesIO()
        picture.save(file, "PNG")
        yield {
            "product_id": f"odd-{number}",
            "text": "",
            "image": file.getvalue(),
            "category": OTHER,
            "attributes": "{}",
        }


def _noise(draws: np.random.Generator) -> Image.Image:
    return Image.fromarray(draws.integers(0, 256, (_SIZE, _SIZE, 3)).astype(np.uint8))


def _blurred(draws: np.random.Generator) -> Image.Image:
    coarse = Image.fromarray(draws.integers(0, 256, (8, 8, 3)).astype(np.uint8))
    return coarse.resize((_SIZE, _SIZE)).filter(ImageFilter.GaussianBlur(float(draws.uniform(2, 12))))


def _gradient(draws: np.random.Generator) -> Image.Image:
    return _between(draws, np.linspace(0, 1, _SIZE)[:, None] * np.ones(_SIZE))


def _stripes(draws: np.random.Generator) -> Image.Image:
    across = np.arange(_SIZE) // int(draws.integers(3, 40)) % 2
    return _between(draws, (across[:, None] ^ (across[None] * int(draws.integers(0, 2)))).astype(float))


def _flat(draws: np.random.Generator) -> Image.Image:
    return _between(draws, np.zeros((_SIZE, _SIZE)))


def _between(draws: np.random.Generator, share: NDArray[np.float64]) -> Image.Image:
    """Mix two colours by a share [s, s] of the second."""
    first, second = draws.integers(0, 256, (2, 1, 1, 3))
    return Image.fromarray((first + share[..., None] * (second - first)).astype(np.uint8))


_KINDS = (_noise, _blurred, _gradient, _stripes, _flat)
