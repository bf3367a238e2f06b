"""A contact sheet as JPEG: rows of photos, each with two lines of text below it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fashion_udf.photos import small_photos
from fashion_udf.photos.sandbox import SandboxedDecoder

_MARGIN, _LINE, _LINES = 6, 14, 2


@dataclass(frozen=True)
class Tile:
    """A photo with its text. Without a readable photo, the square is grey."""

    photo: bytes | None
    lines: tuple[str, ...] = ()


def sheet(rows: Sequence[Sequence[Tile]], decoder: SandboxedDecoder, size: int = 160) -> bytes:
    """Draw the rows, first tile of each to the left.

    Args:
        rows: of tiles.
        decoder: of photos: a shop's photo may crash a decoder.
        size: side of a photo, in pixels.

    Returns:
        The bytes of a JPEG.
    """
    width, height = size + _MARGIN, size + _MARGIN + _LINES * _LINE
    across = max((len(row) for row in rows), default=0)
    page = Image.new("RGB", (_MARGIN + max(1, across) * width, _MARGIN + max(1, len(rows)) * height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for down, row in enumerate(rows):
        for place, tile in enumerate(row):
            left, top = _MARGIN + place * width, _MARGIN + down * height
            page.paste(_picture(small_photos.pixels(tile.photo, size, decoder), size), (left, top))
            for number, line in enumerate(tile.lines[:_LINES]):
                draw.text((left, top + size + 1 + number * _LINE), _fitted(line, draw, font, size), "black", font)
    file = io.BytesIO()
    page.save(file, "JPEG", quality=85)
    return file.getvalue()


def _picture(pixels: NDArray[np.uint8] | None, size: int) -> Image.Image:
    return Image.new("RGB", (size, size), (225, 225, 225)) if pixels is None else Image.fromarray(pixels)


def _fitted(
    line: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int
) -> str:
    text = "".join(char if char.isprintable() else " " for char in line)
    while text and draw.textlength(text, font) > width:
        text = text[:-1]
    return text
