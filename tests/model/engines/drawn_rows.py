"""Rows for any model: noise for photos, and ids that every vocabulary has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rows(
    count: int, tokens: int = 9, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
    """Draw rows of which every fourth has no photo, and every fifth no text."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    present = (np.arange(count) % 4 != 3).astype(np.float32)[:, None]
    token_ids = rng.integers(1, 300, (count, tokens)).astype(np.int32)
    lengths = rng.integers(1, tokens + 1, count) * (np.arange(count) % 5 != 4)
    token_ids[np.arange(tokens)[None] >= lengths[:, None]] = 0
    return pixels, present, token_ids
