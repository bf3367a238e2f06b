"""Pictures of garments: one drawing function for each category of the sample catalog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from fashion_udf.samples import accessories
from fashion_udf.samples.sketch import (
    INK,
    Fabric,
    Look,
    Point,
    Sketch,
    curve,
    ellipse,
    mirrored,
    reflected,
    rounded,
    shaded,
)


def draw(category: str, look: Look, rng: np.random.Generator, size: int = 224) -> Image.Image:
    """Draw one garment on a nearly white background.

    Args:
        category: a name in `DRAWINGS`.
        look: its colours and pattern.
        rng: chooses position, proportions and details.
        size: width and height in pixels.

    Returns:
        RGB image, `size` x `size`.

    Raises:
        KeyError: `category` has no drawing.
    """
    if category not in DRAWINGS:
        raise KeyError(f"Expected one of {', '.join(DRAWINGS)}. Received: {category!r}")
    sketch = Sketch(size, rng)
    DRAWINGS[category](sketch, look, rng)
    return sketch.finish()


def _tshirt(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    fabric = look.fabric(float(rng.uniform(0.06, 0.11)))
    deep = 0.19 + float(rng.uniform(0, 0.05))
    width = float(rng.uniform(-0.02, 0.02))
    sleeve: list[Point] = [*curve((0.33, 0.15), (0.22, 0.2), (0.15, 0.3), (0.09, 0.41)), (0.22, 0.47)]
    sleeve += [(0.29, 0.38), (0.32, 0.2)]
    sketch.fill(sleeve, fabric, angle=-32)
    sketch.fill(reflected(sleeve), fabric, angle=32)
    neck = curve((0.5, deep), (0.435, deep - 0.022), (0.395, 0.13))
    sketch.fill(mirrored([*neck, *curve((0.395, 0.125), (0.44, 0.115), (0.5, 0.112))]), look.hard(0.6))
    side = curve((0.27 - width, 0.4), (0.28 - width, 0.62), (0.265 - width, 0.87))
    body = [*neck, (0.3, 0.165), *curve((0.285, 0.2), (0.298, 0.3), (0.27 - width, 0.4)), *side, (0.5, 0.885)]
    sketch.fill(mirrored(body), fabric)
    sketch.line(
        neck[::-1] + reflected(neck)[::-1], shaded(look.accent if rng.random() < 0.3 else look.colour, 0.82), 0.018
    )
    sketch.line(curve((0.27 - width, 0.85), (0.5, 0.867), (0.73 + width, 0.85)), INK, 0.003, 0.35)
    if look.pattern == "plain" and rng.random() < 0.6:
        _print(sketch, look, rng)


def _print(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    colour = Fabric(look.accent, folds=0.02, round=0.1)
    if rng.random() < 0.5:
        corners = np.radians(np.arange(10) * 36 - 90)  # of a star: tips and notches in turn, a tip on top
        reach = np.where(np.arange(10) % 2 == 0, 0.11, 0.045)
        sketch.fill(
            [(0.5 + r * np.cos(turn), 0.44 + r * np.sin(turn)) for turn, r in zip(corners, reach, strict=True)], colour
        )
    else:
        for row, width in enumerate(rng.uniform(0.06, 0.13, 3)):
            top = 0.36 + row * 0.06
            sketch.fill(rounded(0.5 - width, top, 0.5 + width, top + 0.035, 0.008), colour)


def _shirt(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    fabric = look.fabric(float(rng.uniform(0.035, 0.06)))
    sketch.fill(ellipse(0.5, 0.145, 0.08, 0.055), look.hard(0.6))
    sleeve = [*curve((0.33, 0.14), (0.23, 0.2), (0.175, 0.42), (0.13, 0.76)), (0.225, 0.785)]
    sleeve += curve((0.245, 0.66), (0.29, 0.42), (0.32, 0.2))
    cuff: list[Point] = [(0.137, 0.715), (0.127, 0.785), (0.223, 0.81), (0.238, 0.735)]
    for piece, angle in ((sleeve, 12.0), (cuff, 12.0)):
        sketch.fill(piece, fabric, angle=-angle)
        sketch.fill(reflected(piece), fabric, angle=angle)
    side = curve((0.29, 0.36), (0.298, 0.6), (0.28, 0.86))
    hem = curve((0.28, 0.86), (0.36, 0.91), (0.5, 0.92))
    body = [(0.5, 0.2), (0.42, 0.12), (0.31, 0.155), *curve((0.295, 0.2), (0.305, 0.28), (0.29, 0.36)), *side, *hem]
    sketch.fill(mirrored(body), fabric)
    collar: list[Point] = [(0.425, 0.095), (0.395, 0.145), (0.44, 0.24), (0.5, 0.19)]
    sketch.fill(rounded(0.48, 0.19, 0.52, 0.915, 0.004), replace(fabric, round=0.3))
    sketch.fill(collar, replace(fabric, round=0.8), angle=35)
    sketch.fill(reflected(collar), replace(fabric, round=0.8), angle=-35)
    sketch.dots([(0.5, 0.235 + 0.095 * row) for row in range(7)], shaded(look.accent, 0.75), 0.0075)
    if rng.random() < 0.7:
        sketch.fill([(0.57, 0.35), (0.67, 0.35), (0.67, 0.45), (0.62, 0.475), (0.57, 0.45)], fabric)


def _jeans(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    fabric = look.fabric(0.05, folds=0.1)
    thread = (214, 160, 84)
    knee, hem = 0.345 - float(rng.uniform(0, 0.03)), 0.335 - float(rng.uniform(-0.03, 0.05))
    sketch.fill(ellipse(0.5, 0.075, 0.145, 0.03), look.hard(0.5))
    outer = curve((0.35, 0.07), (0.315, 0.24), (0.33, 0.36), (knee, 0.6), (hem, 0.95))
    leg = [*outer, (hem + 0.125, 0.96), *curve((0.475, 0.6), (0.492, 0.38), (0.503, 0.3)), (0.503, 0.09)]
    sketch.fill(leg, fabric)
    sketch.fill(reflected(leg), fabric)
    for x in (0.405, 0.595):
        sketch.glow(ellipse(x, 0.42, 0.028, 0.16), shaded(look.colour, 1.35), 0.6)
    sketch.fill(
        mirrored([*curve((0.35, 0.06), (0.42, 0.085), (0.5, 0.09)), *curve((0.5, 0.135), (0.34, 0.115))]), fabric
    )
    for points in (
        curve((0.345, 0.205), (0.39, 0.2), (0.405, 0.13)),
        curve((0.35, 0.215), (0.395, 0.21), (0.412, 0.13)),
    ):
        sketch.line(points, thread, 0.004)
        sketch.line(reflected(points), thread, 0.004)
    sketch.line(curve((0.54, 0.135), (0.54, 0.22), (0.503, 0.285)), thread, 0.005)
    sketch.line([(0.502, 0.1), (0.502, 0.3)], INK, 0.005, 0.5)
    for x in (0.37, 0.44, 0.56, 0.63):
        sketch.fill(rounded(x - 0.009, 0.055, x + 0.009, 0.135, 0.003), fabric)
    for side in (hem, 1 - hem - 0.125):
        sketch.line([(side, 0.935), (side + 0.125, 0.943)], thread, 0.004)
    sketch.dots([(0.5, 0.11)], (190, 170, 130), 0.011)


def _dress(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    fabric = look.fabric(float(rng.uniform(0.05, 0.09)), folds=0.08)
    flare, hem = float(rng.uniform(0.14, 0.26)), float(rng.uniform(0.86, 0.94))
    if rng.random() < 0.5:
        sleeve: list[Point] = [*curve((0.37, 0.09), (0.3, 0.13), (0.275, 0.24)), (0.36, 0.26), (0.4, 0.14)]
        sketch.fill(sleeve, fabric, angle=-20)
        sketch.fill(reflected(sleeve), fabric, angle=20)
    neck = curve((0.5, 0.2), (0.44, 0.165), (0.42, 0.08))
    sketch.fill(mirrored([*neck, *curve((0.43, 0.085), (0.5, 0.105))]), look.hard(0.6))
    bodice = [
        *neck,
        (0.365, 0.09),
        *curve((0.375, 0.15), (0.355, 0.24)),
        *curve((0.355, 0.24), (0.385, 0.34), (0.4, 0.42)),
    ]
    skirt = curve((0.4, 0.41), (0.35, 0.58), (0.47 - flare, hem - 0.03))
    edge = curve((0.47 - flare, hem - 0.03), (0.37, hem + 0.015), (0.5, hem))
    sketch.fill(mirrored([(0.5, 0.41), *skirt, *edge]), fabric)
    for share in (0.25, 0.5, 0.75):
        foot = 0.5 - flare + 2 * flare * share
        fold = curve((0.42 + 0.16 * share, 0.43), (0.46 + 0.08 * share, 0.6), (foot, hem - 0.01))
        sketch.line(fold, shaded(look.colour, 0.45), 0.008, 0.35)
    sketch.fill(mirrored([*bodice, (0.5, 0.425)]), fabric)
    sketch.fill(
        mirrored([(0.5, 0.4), (0.397, 0.395), (0.4, 0.435), (0.5, 0.44)]), Fabric(shaded(look.accent, 0.9), folds=0.02)
    )


def _tie(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    fabric = replace(look.fabric(float(rng.uniform(0.035, 0.06)), folds=0.03), round=0.8)
    wide = float(rng.uniform(0.085, 0.115))
    tail = [(0.485, 0.2), (0.53, 0.2), (0.5 + wide * 0.85, 0.74), (0.53, 0.8), (0.47, 0.74)]
    sketch.fill([(x + 0.035, y) for x, y in tail], replace(fabric, colour=shaded(look.colour, 0.7)))
    loop = [*curve((0.44, 0.1), (0.5, 0.045), (0.56, 0.1)), *curve((0.55, 0.14), (0.5, 0.1), (0.45, 0.14))]
    sketch.fill(loop, fabric, angle=90)
    blade = [*curve((0.468, 0.2), (0.45, 0.45), (0.5 - wide, 0.84)), (0.5, 0.95)]
    sketch.fill(mirrored([(0.5, 0.2), *blade]), fabric)
    knot = [*curve((0.5, 0.09), (0.445, 0.1)), *curve((0.445, 0.1), (0.45, 0.16), (0.468, 0.215)), (0.5, 0.22)]
    sketch.fill(mirrored(knot), fabric, angle=80)


#: Category -> the function that draws it.
DRAWINGS: dict[str, Callable[[Sketch, Look, np.random.Generator], None]] = {
    "Tshirts": _tshirt,
    "Shirts": _shirt,
    "Casual Shoes": accessories.casual_shoe,
    "Watches": accessories.watch,
    "Handbags": accessories.handbag,
    "Heels": accessories.heel,
    "Sunglasses": accessories.sunglasses,
    "Jeans": _jeans,
    "Dresses": _dress,
    "Backpacks": accessories.backpack,
    "Ties": _tie,
    "Belts": accessories.belt,
}
