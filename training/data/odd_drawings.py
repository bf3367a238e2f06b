"""Draw pictures that catalogs have instead of a product's photo: cards, pages, screenshots, charts, codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MESSAGES = (
    *("No image available", "No Image", "Image not found", "Photo coming soon", "Image coming soon", "No photo"),
    *("Picture unavailable", "404", "Not available", "Sin imagen", "Kein Bild vorhanden", "Image non disponible"),
    *("Preview", "Placeholder", "Sample", "Error loading image", "Access denied", "Out of stock", "SALE", "NEW"),
)
_WORDS = (
    *("the", "and", "of", "with", "order", "returns", "delivery", "page", "terms", "please", "account", "within"),
    *("days", "price", "total", "invoice", "shipping", "address", "contact", "service", "policy", "total", "menu"),
    *("search", "login", "settings", "name", "number", "report", "summary", "results", "chapter", "information"),
)
_Box = tuple[float, float, float, float]


def placeholder(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw a card with a text such as "No image", with or without a frame and a sign."""
    picture, draw = _canvas(size, _pale(rng))
    ink = _grey(rng, 60, 190)
    if rng.random() < 0.5:
        draw.rectangle(_box(rng, size, 0.06), outline=ink, width=_stroke(rng, size))
    middle = size * rng.uniform(0.4, 0.75)
    if rng.random() < 0.6:
        _camera(draw, (size * 0.35, middle - size * 0.32, size * 0.65, middle - size * 0.1), ink)
    _text(draw, _one(rng, _MESSAGES), (size / 2, middle), size * rng.uniform(0.06, 0.12), ink)
    return picture


def logo(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw a card with the letters of a shop, inside or above a shape."""
    picture, draw = _canvas(size, _pale(rng) if rng.random() < 0.6 else _colour(rng))
    shape = _one(rng, ("ellipse", "rectangle", "none"))
    box = _box(rng, size, rng.uniform(0.15, 0.35))
    if shape == "ellipse":
        draw.ellipse(box, fill=_colour(rng))
    elif shape == "rectangle":
        draw.rectangle(box, fill=_colour(rng))
    letters = "".join(chr(65 + int(rng.integers(26))) for _ in range(int(rng.integers(1, 6))))
    _text(draw, letters, (size / 2, size / 2), size * rng.uniform(0.15, 0.35), _colour(rng))
    return picture


def text_page(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw a page of text with a heading."""
    picture, draw = _canvas(size, _pale(rng))
    letter = size * rng.uniform(0.025, 0.06)
    _lines(rng, draw, (size * 0.08, size * 0.2, size * 0.92, size * rng.uniform(0.6, 0.95)), letter)
    _text(draw, _sentence(rng, 3), (size / 2, size * 0.1), letter * 1.6, (20, 20, 20))
    return picture


def screenshot(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw a window of a program: a bar, a column of entries, boxes, buttons and text."""
    dark = rng.random() < 0.3
    picture, draw = _canvas(size, _grey(rng, 20, 50) if dark else _grey(rng, 235, 255))
    ink = _grey(rng, 200, 250) if dark else _grey(rng, 10, 80)
    bar, column = size * rng.uniform(0.06, 0.12), size * rng.uniform(0.15, 0.35)
    draw.rectangle((0, 0, size, bar), fill=_colour(rng))
    draw.rectangle((0, bar, column, size), fill=_grey(rng, 60, 90) if dark else _grey(rng, 200, 230))
    _lines(rng, draw, (size * 0.02, bar * 1.5, column * 0.9, size * 0.9), size * 0.03, ink)
    top = bar * 1.5
    while top < size * 0.85:
        height = size * rng.uniform(0.08, 0.25)
        box = (column * 1.1, top, size * 0.96, min(top + height, size * 0.97))
        draw.rectangle(box, outline=ink, fill=_colour(rng) if rng.random() < 0.2 else None)
        _lines(rng, draw, (box[0] * 1.05, box[1] + size * 0.02, box[2], box[3] - size * 0.04), size * 0.03, ink)
        top += height + size * 0.03
    return picture


def bar_chart(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw axes with bars."""
    picture, draw = _canvas(size, _pale(rng))
    left, bottom = _axes(rng, draw, size)
    bars = int(rng.integers(3, 13))
    width = (size * 0.92 - left) / bars
    fill = _colour(rng)
    for bar in range(bars):
        height = (bottom - size * 0.1) * rng.uniform(0.05, 1)
        start = left + width * (bar + 0.15)
        colour = _colour(rng) if rng.random() < 0.3 else fill
        draw.rectangle((start, bottom - height, start + width * 0.7, bottom), fill=colour)
    return picture


def line_chart(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw axes with one to four lines."""
    picture, draw = _canvas(size, _pale(rng))
    left, bottom = _axes(rng, draw, size)
    for _ in range(int(rng.integers(1, 5))):
        points = int(rng.integers(5, 40))
        walk = np.cumsum(rng.normal(size=points))
        walk = (walk - walk.min()) / max(float(np.ptp(walk)), 1e-9)
        across, up = np.linspace(left, size * 0.92, points), bottom - walk * (bottom - size * 0.1) * rng.uniform(0.3, 1)
        draw.line([*zip(across.tolist(), up.tolist(), strict=True)], fill=_colour(rng), width=_stroke(rng, size))
    return picture


def size_table(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw a table of numbers, such as a shop's sizes."""
    picture, draw = _canvas(size, _pale(rng))
    rows, columns = int(rng.integers(3, 10)), int(rng.integers(2, 7))
    left, top, right, bottom = _box(rng, size, 0.08)
    high, wide = (bottom - top) / rows, (right - left) / columns
    if rng.random() < 0.7:
        draw.rectangle((left, top, right, top + high), fill=_colour(rng))
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * wide, top + row * high
            draw.rectangle((x, y, x + wide, y + high), outline=(120, 120, 120))
            text = _one(rng, ("XS", "S", "M", "L", "XL", "cm", "EU", "UK")) if 0 in (row, column) else None
            _text(draw, text or str(int(rng.integers(10, 130))), (x + wide / 2, y + high / 2), high * 0.4, (30, 30, 30))
    return picture


def bar_code(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw a bar code or a code of squares."""
    picture, draw = _canvas(size, (255, 255, 255))
    left, top, right, bottom = _box(rng, size, rng.uniform(0.08, 0.25))
    if rng.random() < 0.5:
        bits = rng.random((1, int(rng.integers(30, 70)))) < 0.5
        top, bottom = size * 0.3, size * 0.65
        _text(draw, str(int(rng.integers(10**11, 10**12))), (size / 2, size * 0.72), size * 0.07, (0, 0, 0))
    else:
        cells = int(rng.integers(21, 42))
        bits = rng.random((cells, cells)) < 0.5
    high, wide = (bottom - top) / bits.shape[0], (right - left) / bits.shape[1]
    for row, column in np.argwhere(bits).tolist():
        x, y = left + column * wide, top + row * high
        draw.rectangle((x, y, x + wide, y + high), fill=(0, 0, 0))
    return picture


def shapes(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw overlapping circles, boxes and polygons of any colours."""
    picture, draw = _canvas(size, _colour(rng))
    for _ in range(int(rng.integers(2, 25))):
        kind, points = int(rng.integers(3)), rng.uniform(-0.1, 1.1, (int(rng.integers(3, 8)), 2)) * size
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        if kind == 0:
            draw.ellipse((left, top, right, bottom), fill=_colour(rng))
        elif kind == 1:
            draw.rectangle((left, top, right, bottom), fill=_colour(rng))
        else:
            draw.polygon([tuple(point) for point in points.tolist()], fill=_colour(rng))
    return picture


def _canvas(size: int, colour: tuple[int, ...]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (size, size), colour)
    return picture, ImageDraw.Draw(picture)


def _axes(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: int) -> tuple[float, float]:
    """Draw a title and two axes; return the origin."""
    left, bottom = size * rng.uniform(0.08, 0.18), size * rng.uniform(0.8, 0.92)
    ink = _grey(rng, 0, 120)
    _text(draw, _sentence(rng, 2), (size / 2, size * 0.05), size * 0.05, ink)
    draw.line([(left, size * 0.1), (left, bottom), (size * 0.95, bottom)], fill=ink, width=_stroke(rng, size))
    if rng.random() < 0.5:
        for height in np.linspace(size * 0.12, bottom, 6)[:-1].tolist():
            draw.line([(left, height), (size * 0.95, height)], fill=(210, 210, 210))
    return left, bottom


def _camera(draw: ImageDraw.ImageDraw, box: _Box, ink: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    draw.rectangle(box, outline=ink, width=max(1, int((right - left) / 16)))
    x, y, radius = (left + right) / 2, (top + bottom) / 2, (bottom - top) / 3.5
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=max(1, int(radius / 4)))


def _lines(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: _Box, letter: float, ink: tuple[int, ...] = (40, 40, 40)
) -> None:
    """Write lines of words into a box."""
    left, y, right, bottom = box
    while y < bottom:
        words = max(1, int((right - left) / (letter * 4) * rng.uniform(0.3, 1)))
        if rng.random() < 0.9:
            draw.text((left, y), _sentence(rng, words), fill=ink, font=_font(letter))
        y += letter * 1.5


def _sentence(rng: np.random.Generator, words: int) -> str:
    return " ".join(_one(rng, _WORDS) for _ in range(words)).capitalize()


def _text(
    draw: ImageDraw.ImageDraw, text: str, middle: tuple[float, float], letter: float, ink: tuple[int, ...]
) -> None:
    draw.text(middle, text, fill=ink, font=_font(letter), anchor="mm")


def _font(letter: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(5.0, letter))


def _box(rng: np.random.Generator, size: int, margin: float) -> _Box:
    near = margin * size * rng.uniform(0.7, 1.3)
    return near, near, size - near, size - near


def _stroke(rng: np.random.Generator, size: int) -> int:
    return max(1, int(size * rng.uniform(0.004, 0.02)))


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _grey(rng: np.random.Generator, darkest: int, lightest: int) -> tuple[int, ...]:
    return (int(rng.integers(darkest, lightest + 1)),) * 3


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(rng.integers(0, 256, 3).tolist())


def _pale(rng: np.random.Generator) -> tuple[int, ...]:
    """Return white, or a colour close to it."""
    return (255, 255, 255) if rng.random() < 0.5 else tuple(rng.integers(215, 256, 3).tolist())
