"""Odd drawings: ink on a ground, at any size of a photo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from training.data import odd_drawings

DRAWINGS = [
    odd_drawings.placeholder,
    odd_drawings.logo,
    odd_drawings.text_page,
    odd_drawings.screenshot,
    odd_drawings.bar_chart,
    odd_drawings.line_chart,
    odd_drawings.size_table,
    odd_drawings.bar_code,
    odd_drawings.shapes,
]


@pytest.mark.parametrize("draw", DRAWINGS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("size", [24, 224])
def test_a_drawing_has_a_ground_and_something_on_it(
    draw: Callable[[np.random.Generator, int], Image.Image], size: int
) -> None:
    for seed in range(8):
        picture = draw(np.random.default_rng(seed), size)
        assert (picture.size, picture.mode) == ((size, size), "RGB")
        assert len(picture.getcolors(size * size) or []) >= 2
