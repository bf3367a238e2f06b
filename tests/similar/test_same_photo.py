"""Two photos that are one agree; the same shape in another print or colour does not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from fashion_udf.photos import decode
from fashion_udf.similar import same_photo
from fashion_udf.similar.duplicates import COLOUR, DETAIL


def shirt(seed: int, colour: tuple[int, int, int] = (60, 90, 160), back: str = "white") -> Image.Image:
    """A shirt with a print of its own."""
    draws = np.random.default_rng(seed)
    picture = Image.new("RGB", (300, 400), back)
    draw = ImageDraw.Draw(picture)
    draw.polygon([(90, 60), (210, 60), (280, 150), (230, 180), (220, 360), (80, 360), (70, 180), (20, 150)], colour)
    for _ in range(25):
        x, y = draws.integers(90, 190), draws.integers(90, 330)
        lighter = tuple(min(255, channel + 70) for channel in colour)
        draw.rectangle((x, y, x + draws.integers(5, 25), y + draws.integers(5, 25)), lighter)
    return picture


def photo(picture: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def agreement(one: bytes, other: bytes) -> same_photo.Agreement:
    squares = [decode.decode(each, same_photo.THUMBNAIL).pixels for each in (one, other)]
    return same_photo.agreement(*(same_photo.detail(square) for square in squares if square is not None))


def one_photo(found: same_photo.Agreement) -> bool:
    return found.detail >= DETAIL and found.colour <= COLOUR


@pytest.mark.parametrize("back", ["white", "tan"])
@pytest.mark.parametrize("seed", range(4))
def test_a_photo_that_was_cropped_lightened_resized_and_compressed_again_is_the_same(seed: int, back: str) -> None:
    draws, own = np.random.default_rng(seed), shirt(seed, back=back)
    left, top, right, bottom = (draws.uniform(0, 0.02, 4) * (300, 400, 300, 400)).astype(int)
    copy = own.crop((left, top, 300 - right, 400 - bottom)).resize((240, 320))
    copy = ImageEnhance.Brightness(copy).enhance(draws.uniform(0.93, 1.07))
    assert one_photo(agreement(photo(own), photo(copy, 60)))
    assert agreement(photo(own), photo(copy)) == agreement(photo(copy), photo(own))


def test_another_print_another_colour_and_a_photo_without_detail_are_others() -> None:
    own = photo(shirt(1))
    assert agreement(own, photo(shirt(2))).detail < DETAIL
    red = agreement(own, photo(shirt(1, (160, 60, 60))))
    assert red.detail >= DETAIL and red.colour > COLOUR
    blank = photo(Image.new("RGB", (300, 400), "white"))
    assert agreement(blank, blank).detail < DETAIL
