"""Draw shaded, patterned shapes in unit coordinates. They are drawn large and scaled down, for smooth edges.

Points are (x, y) in [0, 1] with y downwards. A sketch rotates, scales and shifts them a little, so that no two pictures
of a kind are aligned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, int, int]
Plane = NDArray[np.float32]  # float32[height, width]

STEEL: Colour = (176, 180, 186)
GOLD: Colour = (206, 168, 92)
INK: Colour = (28, 28, 32)

OVERSAMPLING = 4  # the factor by which a picture is drawn larger

#: Pattern name -> function from (u, v), in periods, to the share of the accent colour. All are float32[height, width].
PATTERNS: dict[str, Callable[[Plane, Plane], Plane]] = {
    "plain": lambda u, v: np.zeros_like(u),
    "stripes": lambda u, v: ((v % 1.0) < 0.45).astype(np.float32),
    "pinstripes": lambda u, v: ((u % 1.0) < 0.16).astype(np.float32),
    "checks": lambda u, v: 0.5 * ((u % 1.0) < 0.42).astype(np.float32) + 0.5 * ((v % 1.0) < 0.42),
    "dots": lambda u, v: (((u % 1.0) - 0.5) ** 2 + ((v % 1.0) - 0.5) ** 2 < 0.06).astype(np.float32),
    "diagonal": lambda u, v: (((u + v) % 1.0) < 0.4).astype(np.float32),
}


@dataclass(frozen=True)
class Fabric:
    """A material: two colours, a pattern, and the pattern's period as a share of the picture."""

    colour: Colour
    accent: Colour = (255, 255, 255)
    pattern: str = "plain"
    period: float = 0.06
    folds: float = 0.045  # brightness variation across the piece; 0 for hard materials
    round: float = 0.55  # how much darker towards the edge


@dataclass(frozen=True)
class Look:
    """Colours and pattern of a garment. The title of the product names them."""

    colour: Colour
    accent: Colour
    pattern: str = "plain"

    def fabric(self, period: float = 0.07, folds: float = 0.045) -> Fabric:
        """Return the look as cloth."""
        return Fabric(self.colour, self.accent, self.pattern, period, folds)

    def hard(self, factor: float = 1.0) -> Fabric:
        """Return the look's colour, `factor` times as bright, as a smooth material such as leather or plastic."""
        return Fabric(shaded(self.colour, factor), folds=0.03)


def curve(*points: Point) -> list[Point]:
    """Return a smooth open line through the points (a Catmull-Rom spline, 12 steps a segment)."""
    padded = [points[0], *points, points[-1]]
    line: list[Point] = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(12):
            t = step / 12
            line.append((_spline(p0[0], p1[0], p2[0], p3[0], t), _spline(p0[1], p1[1], p2[1], p3[1], t)))
    return [*line, points[-1]]


def mirrored(half: Sequence[Point]) -> list[Point]:
    """Close a left half, given from top to bottom, with its reflection in x = 0.5."""
    return [*half, *reflected(half)]


def reflected(points: Sequence[Point]) -> list[Point]:
    """Return the points reflected in x = 0.5, in reverse order."""
    return [(1 - x, y) for x, y in reversed(points)]


def ellipse(x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0) -> list[Point]:
    """Return points on an ellipse or an arc of it. Angles are in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 73))
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


def rounded(left: float, top: float, right: float, bottom: float, radius: float) -> list[Point]:
    """Return a rectangle with round corners."""
    corners = [(right - radius, bottom - radius, 0), (left + radius, bottom - radius, 90)]
    corners += [(left + radius, top + radius, 180), (right - radius, top + radius, 270)]
    return [point for x, y, turn in corners for point in ellipse(x, y, radius, radius, turn, turn + 90)]


def shaded(colour: Colour, factor: float) -> Colour:
    """Return a darker (factor < 1) or lighter (factor > 1) colour."""
    red, green, blue = (min(255, max(0, round(channel * factor))) for channel in colour)
    return red, green, blue


class Sketch:
    """A transparent square to draw on. `finish` adds a studio background."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._side = size * OVERSAMPLING
        self._rng = rng
        self._layer = Image.new("RGBA", (self._side, self._side))
        self._angle = math.radians(float(rng.normal(0, 2.0)))
        self._scale = (float(rng.uniform(0.86, 1.0)), float(rng.uniform(0.88, 1.0)))
        self._shift = (float(rng.uniform(-0.025, 0.025)), float(rng.uniform(-0.02, 0.02)))

    def fill(self, points: Sequence[Point], fabric: Fabric, angle: float = 0.0, hole: Sequence[Point] = ()) -> None:
        """Paint the inside of an outline, except `hole`, with fabric. `angle` rotates the pattern, in degrees."""
        mask = Image.new("L", (self._side, self._side))
        pen = ImageDraw.Draw(mask)
        pen.polygon(self._pixels(points), fill=255)
        if hole:
            pen.polygon(self._pixels(hole), fill=0)
        box = mask.getbbox()
        if box is None:
            return
        cut = mask.crop(box)
        paint = Image.fromarray(self._paint(mask, box, fabric, angle))
        self._layer.paste(paint, box[:2], cut)

    def line(self, points: Sequence[Point], colour: Colour, width: float, opacity: float = 1.0) -> None:
        """Draw a line of `width` (share of the picture) with round joints and an `opacity` from 0 to 1."""
        mask = Image.new("L", (self._side, self._side))
        pixels = self._pixels(points)
        thickness = max(2, round(width * self._side))
        ImageDraw.Draw(mask).line(pixels, fill=round(255 * opacity), width=thickness, joint="curve")
        self._layer.paste((*colour, 255), mask.getbbox(), mask.crop(mask.getbbox()))

    def glow(self, points: Sequence[Point], colour: Colour, opacity: float) -> None:
        """Lighten or darken an area without an edge: worn denim, a shine."""
        small = Image.new("L", (self._size, self._size))
        ImageDraw.Draw(small).polygon([(x / OVERSAMPLING, y / OVERSAMPLING) for x, y in self._pixels(points)], fill=255)
        small = small.filter(ImageFilter.GaussianBlur(self._size * 0.02)).point(lambda value: value * opacity)
        mask = ImageChops.multiply(small.resize(self._layer.size), self._layer.getchannel("A"))
        self._layer.paste((*colour, 255), (0, 0, *mask.size), mask)

    def dots(self, points: Sequence[Point], colour: Colour, radius: float) -> None:
        """Draw filled circles: buttons, rivets, holes."""
        pen = ImageDraw.Draw(self._layer)
        reach = radius * self._side
        for x, y in self._pixels(points):
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(*colour, 255))

    def finish(self) -> Image.Image:
        """Return the picture with a soft shadow on a nearly white background: RGB, `size` x `size` pixels."""
        side = self._side
        light = int(self._rng.integers(246, 256))
        ground = Image.new("RGB", (side, side), (light, light, light))
        alpha = self._layer.getchannel("A")
        small = Image.new("L", (self._size, self._size))
        small.paste(alpha.reduce(OVERSAMPLING), (round(0.006 * self._size), round(0.014 * self._size)))
        strength = float(self._rng.uniform(0.18, 0.34))
        small = small.filter(ImageFilter.GaussianBlur(self._size * 0.014)).point(lambda value: value * strength)
        shadow = small.resize((side, side))
        ground.paste((90, 90, 95), (0, 0, side, side), shadow)
        ground.paste(self._layer, (0, 0), alpha)
        return ground.resize((self._size, self._size), Image.Resampling.BOX)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        cosine, sine = math.cos(self._angle), math.sin(self._angle)
        placed = []
        for x, y in points:
            across, down = (x - 0.5) * self._scale[0], (y - 0.5) * self._scale[1]
            placed.append(
                (
                    (0.5 + across * cosine - down * sine + self._shift[0]) * self._side,
                    (0.5 + across * sine + down * cosine + self._shift[1]) * self._side,
                )
            )
        return placed

    def _paint(
        self, mask: Image.Image, box: tuple[int, int, int, int], fabric: Fabric, angle: float
    ) -> NDArray[np.uint8]:
        """Return colour, pattern and light of a shape: uint8[height, width, 3]."""
        left, top, right, bottom = box
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32) / (self._side * fabric.period)
        turn = self._angle + math.radians(angle)
        u = columns * math.cos(turn) + rows * math.sin(turn)
        v = rows * math.cos(turn) - columns * math.sin(turn)
        accent = PATTERNS[fabric.pattern](u, v)[..., None]
        colour = np.asarray(fabric.colour, np.float32) * (1 - accent) + np.asarray(fabric.accent, np.float32) * accent
        # The blur is computed at a quarter of the size, which is faster and looks the same.
        small = mask.reduce(4).filter(ImageFilter.GaussianBlur(self._side * 0.018 / 4))
        blurred = small.resize((right - left, bottom - top), box=(left / 4, top / 4, right / 4, bottom / 4))
        inside = np.asarray(blurred, np.float32) / 255
        light = 1 - fabric.round * (1 - inside) + self._folds(right - left, bottom - top, fabric.folds)
        light += np.linspace(0.04, -0.06, right - left, dtype=np.float32)
        return (colour * light[..., None]).clip(0, 255).astype(np.uint8)

    def _folds(self, width: int, height: int, strength: float) -> Plane:
        coarse = self._rng.normal(0, 1, (4, 8)).astype(np.float32)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(smooth, np.float32) * np.float32(strength)


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)
