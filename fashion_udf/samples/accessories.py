"""Pictures of shoes, bags and accessories for the sample catalog. `garments` lists them by category."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fashion_udf.samples.sketch import (
    GOLD,
    INK,
    STEEL,
    Colour,
    Fabric,
    Look,
    Sketch,
    curve,
    ellipse,
    mirrored,
    reflected,
    rounded,
    shaded,
)


def casual_shoe(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """A laced shoe from the side, toe to the right."""
    sole = shaded(look.accent, 0.96) if rng.random() < 0.8 else (120, 84, 52)
    ankle = 0.43 - float(rng.uniform(0, 0.12))
    upper = curve((0.09, 0.66), (0.075, 0.52), (0.1, ankle), (0.2, ankle + 0.055), (0.33, ankle - 0.005))
    upper += curve((0.4, 0.36), (0.53, 0.46), (0.7, 0.525), (0.87, 0.57), (0.93, 0.66))
    sketch.fill(ellipse(0.22, ankle + 0.02, 0.13, 0.045), look.hard(0.45))
    sketch.fill(curve((0.33, ankle), (0.4, ankle - 0.03), (0.43, 0.37), (0.38, 0.46)), look.hard(0.9))
    sketch.fill(upper, look.fabric(0.05, 0.03))
    toe = [*curve((0.74, 0.66), (0.75, 0.58), (0.8, 0.545)), *curve((0.87, 0.57), (0.93, 0.62), (0.935, 0.67))]
    heel = [*curve((0.085, 0.66), (0.072, 0.55), (0.085, 0.46)), *curve((0.17, 0.48), (0.2, 0.58), (0.19, 0.66))]
    sketch.fill(toe, Fabric(sole, folds=0.02))
    sketch.fill(heel, look.hard(0.75))
    bottom = [*curve((0.075, 0.64), (0.3, 0.66), (0.6, 0.655), (0.94, 0.64)), *curve((0.955, 0.69), (0.92, 0.735))]
    bottom += [*curve((0.6, 0.74), (0.3, 0.74), (0.1, 0.74)), *curve((0.07, 0.71), (0.068, 0.66))]
    sketch.fill(bottom, Fabric(sole, folds=0.02, round=0.4))
    sketch.line(curve((0.075, 0.715), (0.5, 0.718), (0.94, 0.708)), INK, 0.006, 0.55)
    for step in range(5):
        x, y = 0.385 + 0.052 * step, 0.375 + 0.034 * step
        sketch.line([(x, y), (x - 0.035, y + 0.06)], shaded(look.accent, 0.9), 0.014)
        sketch.dots([(x - 0.037, y + 0.065)], INK, 0.006)
    if rng.random() < 0.6:
        for step in range(int(rng.integers(1, 4))):
            sketch.line([(0.33 + 0.05 * step, 0.63), (0.41 + 0.05 * step, 0.5)], look.accent, 0.022)


def watch(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """A wrist watch from the front, strap open."""
    metal = GOLD if rng.random() < 0.3 else STEEL
    # A title names the strap's colour, so a steel bracelet is drawn only if the colour is grey or black.
    bracelet = max(look.colour) - min(look.colour) < 10 and rng.random() < 0.7
    strap = Fabric(STEEL, shaded(STEEL, 0.7), "stripes", 0.035, 0.02) if bracelet else look.hard()
    band = [*curve((0.41, 0.3), (0.425, 0.15), (0.43, 0.04)), *curve((0.57, 0.04), (0.575, 0.15), (0.59, 0.3))]
    sketch.fill(band, strap)
    sketch.fill([(x, 1 - y) for x, y in band], strap)
    if not bracelet:
        sketch.dots([(0.5, 0.8 + 0.035 * hole) for hole in range(4)], INK, 0.008)
    sketch.fill(rounded(0.7, 0.475, 0.755, 0.525, 0.012), Fabric(metal))
    square = rng.random() < 0.25
    rings = [
        rounded(0.5 - r, 0.5 - r, 0.5 + r, 0.5 + r, 0.05) if square else ellipse(0.5, 0.5, r, r) for r in (0.22, 0.185)
    ]
    dark = rng.random() < 0.5
    sketch.fill(rings[0], Fabric(metal, round=0.8))
    sketch.fill(rings[1], Fabric((34, 36, 44) if dark else (240, 240, 236), folds=0.01, round=0.3))
    ink: Colour = (235, 235, 235) if dark else INK
    angles = np.radians(np.arange(12) * 30.0)
    for angle in angles:
        across, down = float(np.cos(angle)), float(np.sin(angle))
        sketch.line([(0.5 + r * across, 0.5 + r * down) for r in (0.145, 0.17)], ink, 0.01)
    minute, hour = float(rng.uniform(0, 6.28)), float(rng.uniform(0, 6.28))
    for angle, reach, width in ((hour, 0.09, 0.017), (minute, 0.135, 0.011)):
        sketch.line([(0.5, 0.5), (0.5 + reach * np.cos(angle), 0.5 + reach * np.sin(angle))], ink, width)
    sketch.dots([(0.5, 0.5)], metal, 0.013)


def handbag(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """A hand bag from the front, handles up."""
    metal = GOLD if rng.random() < 0.6 else STEEL
    top, wide = float(rng.uniform(0.4, 0.46)), float(rng.uniform(0.0, 0.05))
    rise = float(rng.uniform(0.26, 0.34))
    for factor, lift in ((0.65, 0.025), (1.0, 0.0)):
        outer = ellipse(0.5, top + 0.04 - lift, 0.2, rise, 180, 360)
        inner = ellipse(0.5, top + 0.04 - lift, 0.168, rise - 0.034, 180, 360)
        sketch.fill(outer + inner[::-1], look.hard(factor))
    body = [(0.5, top), *curve((0.24 - wide, top + 0.01), (0.17 - wide, 0.7), (0.15 - wide, 0.83))]
    body += [*curve((0.15 - wide, 0.83), (0.18 - wide, 0.875), (0.26, 0.885)), (0.5, 0.885)]
    sketch.fill(mirrored(body), look.fabric(0.06, 0.03))
    thread = shaded(look.colour, 0.62)
    if rng.random() < 0.5:
        flap = [(0.5, top - 0.005), *curve((0.235 - wide, top + 0.005), (0.22 - wide, 0.55), (0.3, 0.64), (0.5, 0.67))]
        sketch.fill(mirrored(flap), look.hard(0.94))
        sketch.fill(rounded(0.455, 0.62, 0.545, 0.71, 0.018), Fabric(metal, round=0.8))
        sketch.fill(rounded(0.48, 0.645, 0.52, 0.685, 0.008), Fabric(shaded(metal, 0.55)))
    else:
        sketch.line([(0.245 - wide, top + 0.045), (0.755 + wide, top + 0.045)], thread, 0.008)
        sketch.fill(
            mirrored([(0.5, 0.74), *curve((0.168 - wide, 0.74), (0.15 - wide, 0.86)), (0.2, 0.885), (0.5, 0.885)]),
            look.hard(0.78),
        )
    for x in (0.316, 0.684):
        sketch.fill(ellipse(x, top + 0.055, 0.028, 0.028), Fabric(metal), hole=ellipse(x, top + 0.055, 0.014, 0.014))


def heel(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """A high-heeled shoe from the side, toe to the right."""
    thick = float(rng.uniform(0.012, 0.06))
    back = float(rng.uniform(0.2, 0.27))
    stem = [*curve((0.15, 0.43), (0.165, 0.6), (0.185, 0.86)), (0.205 + thick, 0.86)]
    stem += curve((0.215 + thick, 0.7), (0.25 + thick, 0.56), (0.36, 0.5))
    sketch.fill(stem, look.hard(0.8))
    topline = curve((0.17, back), (0.25, back + 0.07), (0.34, 0.43), (0.5, 0.62), (0.66, 0.7))
    toe = curve((0.66, 0.7), (0.8, 0.715), (0.93, 0.79), (0.945, 0.835))
    under = curve((0.935, 0.855), (0.8, 0.865), (0.66, 0.85), (0.52, 0.73), (0.36, 0.555), (0.16, 0.47))
    lining = curve(
        (0.18, back), (0.29, back + 0.035), (0.39, 0.42), (0.53, 0.58), (0.69, 0.69), (0.6, 0.72), (0.4, 0.56)
    )
    sketch.fill(lining, Fabric((214, 190, 160), round=0.4))
    sketch.fill(topline + toe + under + curve((0.16, 0.47), (0.135, 0.36), (0.17, back)), look.fabric(0.05, 0.03))
    sole = [*curve((0.94, 0.845), (0.8, 0.862), (0.66, 0.85)), *curve((0.66, 0.868), (0.8, 0.88), (0.935, 0.866))]
    sketch.fill(sole, Fabric((70, 46, 34), round=0.1))
    if rng.random() < 0.5:
        sketch.fill(ellipse(0.72, 0.725, 0.045, 0.028), Fabric(look.accent, round=0.8))


def sunglasses(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """Sunglasses from the front, arms folded back."""
    tint: Colour = ((44, 40, 46), (86, 58, 40), (40, 62, 90), (52, 78, 60))[int(rng.integers(4))]
    drop, tall = float(rng.uniform(0.0, 0.05)), float(rng.uniform(0.11, 0.16))
    arm = [*curve((0.09, 0.42), (0.12, 0.36), (0.2, 0.33)), *curve((0.21, 0.35), (0.14, 0.385), (0.11, 0.45))]
    sketch.fill(arm, look.hard(0.7))
    sketch.fill(reflected(arm), look.hard(0.7))
    kind = int(rng.integers(3))
    frame = curve((0.06, 0.41), (0.16, 0.385), (0.3, 0.385), (0.42, 0.4), (0.462, 0.45))
    frame += curve(
        (0.455, 0.5), (0.41, 0.46 + tall), (0.27, 0.52 + tall + drop), (0.13, 0.47 + tall), (0.08, 0.5), (0.06, 0.41)
    )
    if kind == 1:
        frame = ellipse(0.265, 0.5, 0.2, 0.04 + tall)
    centre = (0.265, 0.49) if kind != 1 else (0.265, 0.5)
    rim = 0.82 if kind != 2 else 0.91
    lens = [(centre[0] + (x - centre[0]) * rim, centre[1] + (y - centre[1]) * rim) for x, y in frame]
    bridge = [*curve((0.44, 0.44), (0.5, 0.415), (0.56, 0.44)), *curve((0.55, 0.475), (0.5, 0.45), (0.45, 0.475))]
    sketch.fill(bridge, look.hard())
    glass = Fabric(tint, folds=0.05, round=0.2)
    for outline, inside in ((frame, lens), (reflected(frame), reflected(lens))):
        sketch.fill(outline, replace(look.hard(), round=0.7))
        sketch.fill(inside, glass)
    for left in (0.17, 0.64):
        glare = [(left, 0.55), (left + 0.09, 0.43), (left + 0.125, 0.43), (left + 0.035, 0.55)]
        sketch.line([glare[0], glare[1]], (235, 240, 245), 0.012, 0.4)
        sketch.line([glare[3], glare[2]], (235, 240, 245), 0.005, 0.4)
    sketch.dots([(0.092, 0.43), (0.908, 0.43)], STEEL, 0.008)


def backpack(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """A backpack from the front."""
    trim = Fabric(shaded(look.accent, 0.85), folds=0.02)
    handle = ellipse(0.5, 0.1, 0.075, 0.065, 180, 360) + ellipse(0.5, 0.1, 0.05, 0.04, 180, 360)[::-1]
    sketch.fill(handle, look.hard(0.6))
    strap = [*curve((0.3, 0.2), (0.2, 0.35), (0.17, 0.6), (0.21, 0.86)), *curve((0.25, 0.86), (0.22, 0.6), (0.27, 0.3))]
    sketch.fill(strap, look.hard(0.55))
    sketch.fill(reflected(strap), look.hard(0.55))
    slim = float(rng.uniform(-0.02, 0.025))
    body = curve((0.5, 0.085), (0.35, 0.105), (0.265 - slim, 0.22), (0.235 - slim, 0.5), (0.225 - slim, 0.84))
    body += curve((0.225 - slim, 0.84), (0.25 - slim, 0.9), (0.32, 0.915), (0.5, 0.92))
    sketch.fill(mirrored(body), look.fabric(0.08, 0.07))
    zipper = curve((0.5, 0.15), (0.37, 0.17), (0.305 - slim, 0.27), (0.285 - slim, 0.47))
    sketch.line(zipper[::-1] + reflected(zipper)[::-1], INK, 0.012, 0.7)
    pocket = curve((0.5, 0.535), (0.34, 0.54), (0.285, 0.58), (0.275, 0.7), (0.275, 0.82))
    pocket += curve((0.275, 0.82), (0.3, 0.865), (0.36, 0.87), (0.5, 0.872))
    sketch.fill(mirrored(pocket), look.hard(0.82))
    sketch.line(curve((0.3, 0.615), (0.5, 0.6), (0.7, 0.615)), INK, 0.011, 0.75)
    sketch.fill(rounded(0.665, 0.615, 0.685, 0.67, 0.006), trim)
    sketch.fill(rounded(0.43, 0.36, 0.57, 0.42, 0.012), trim)
    if rng.random() < 0.5:
        for x in (0.35, 0.65):
            sketch.fill(rounded(x - 0.02, 0.28, x + 0.02, 0.9, 0.008), look.hard(0.6))
            sketch.fill(rounded(x - 0.032, 0.49, x + 0.032, 0.54, 0.01), Fabric(STEEL))


def belt(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """A belt closed to a loop, buckle to the front."""
    metal = GOLD if rng.random() < 0.35 else STEEL
    height, width = float(rng.uniform(0.09, 0.12)), 0.41
    y = 0.42
    back = (
        ellipse(0.5, y, width, 0.13, 180, 360)
        + [(x, b + height) for x, b in ellipse(0.5, y, width, 0.13, 180, 360)][::-1]
    )
    sketch.fill(back, look.hard(0.55))
    edge = ellipse(0.5, y, width, 0.16, 180, 0)
    lower = [(x, b + height) for x, b in edge][::-1]
    sketch.fill(edge + lower, look.fabric(0.04, 0.03))
    thread = shaded(look.colour, 1.5 if sum(look.colour) < 300 else 0.6)
    for inset in (0.014, height - 0.014):
        sketch.line([(x, b + inset) for x, b in edge], thread, 0.004, 0.8)
    low = y + 0.16
    sketch.dots([(0.6 + 0.05 * step, low + height / 2 - 0.006 - 0.011 * step) for step in range(4)], INK, 0.008)
    sketch.fill(rounded(0.355, low - 0.02, 0.385, low + height + 0.02, 0.008), look.hard(0.8))
    outer = rounded(0.41, low - 0.035, 0.55, low + height + 0.035, 0.025)
    sketch.fill(outer, Fabric(metal, round=0.8), hole=rounded(0.435, low - 0.008, 0.525, low + height + 0.008, 0.012))
    sketch.fill(
        rounded(0.42, low + height / 2 - 0.011, 0.56, low + height / 2 + 0.011, 0.01), Fabric(shaded(metal, 0.92))
    )
