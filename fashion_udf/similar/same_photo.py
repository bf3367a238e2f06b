"""Tell whether two files show the same photo: cropped a little, lighter or darker, or compressed again.

Embeddings cannot tell: a shirt with another print, or a wallet of the same series, is as near as the same shirt. So the
pixels are compared. The background is cut off, and the rest is scaled to one size. One photo is moved over the other
until the fine detail (seams, prints, folds) agrees best. The shape of the product does not count. Then the colours are
compared at that place, up to one factor of brightness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

#: Side of a compared thumbnail, in pixels.
THUMBNAIL = 128
#: Side of the cut-out, side of the part that is moved, scales, and the largest shift, in pixels.
_SIDE, _INNER, _SCALES, _SHIFT = 48, 40, (46, 48, 50), 2
#: A pixel belongs to the product if a colour differs by more than this from the median of the border, of 255.
_BACKGROUND = 24
#: Added to the contrast of detail, so that a flat photo agrees with no other photo.
_FLAT = 6.0
#: Minimum and maximum factor of brightness of a copy.
_BRIGHTNESS = (0.85, 1 / 0.85)


@dataclass(frozen=True, eq=False)
class Detail:
    """A photo, prepared for comparisons.

    Attributes:
        picture: the cut-out.
        inner: float32[_INNER ** 2], the detail of the middle of the cut-out.
        windows: float32[w, _INNER ** 2], the detail at each scale and shift.
        places: horizontal scale, vertical scale, vertical shift and horizontal shift of each window.
    """

    picture: Image.Image
    inner: NDArray[np.float32]
    windows: NDArray[np.float32]
    places: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Agreement:
    """The agreement of two photos.

    Attributes:
        detail: correlation of the fine detail, at most 1.
        colour: mean difference of the colours, of 255.
    """

    detail: float
    colour: float


def detail(thumbnail: NDArray[np.uint8]) -> Detail:
    """Prepare a photo for comparisons.

    Args:
        thumbnail: uint8[n, n, 3].
    """
    picture = Image.fromarray(thumbnail).crop(_box(thumbnail))
    start = (_SIDE - _INNER) // 2
    middle = _fine(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX))[start : start + _INNER, start : start + _INNER]
    windows, places = [], []
    for across in _SCALES:
        for down in _SCALES:
            every = sliding_window_view(_fine(picture.resize((across, down))), (_INNER, _INNER))
            for top in _shifts(every.shape[0]):
                for left in _shifts(every.shape[1]):
                    windows.append(every[top, left].ravel())
                    places.append((across, down, top, left))
    return Detail(picture, _unit(middle.reshape(1, -1))[0], _unit(np.array(windows)), tuple(places))


def agreement(one: Detail, other: Detail) -> Agreement:
    """Compare two photos. The order of the photos does not matter."""
    forth, back = one.windows @ other.inner, other.windows @ one.inner
    moved, still, found = (one, other, forth) if forth.max() >= back.max() else (other, one, back)
    best = int(found.argmax())
    return Agreement(float(found[best]), _colour(moved.picture, still.picture, moved.places[best]))


def _box(pixels: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return the box of the pixels that differ from the border, or the whole picture if hardly any pixel does."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    differs = np.abs(pixels - np.median(border, axis=0)).max(axis=2) > _BACKGROUND
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    least = len(pixels) // 16
    if len(rows) < least or len(columns) < least:
        return (0, 0, pixels.shape[1], pixels.shape[0])
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _shifts(count: int) -> range:
    middle = (count - 1) // 2
    return range(max(0, middle - _SHIFT), min(count, middle + _SHIFT + 1))


def _blurred(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(sliding_window_view(np.pad(plane, 2, mode="edge"), (5, 5)).mean((2, 3)), np.float32)


def _fine(picture: Image.Image) -> NDArray[np.float32]:
    light = np.asarray(picture.convert("L"), np.float32)
    return light - _blurred(light)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = rows - rows.mean(1, keepdims=True)
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + _FLAT), np.float32)


def _colour(moved: Image.Image, still: Image.Image, place: tuple[int, int, int, int]) -> float:
    across, down, top, left = place
    start = (_SIDE - _INNER) // 2
    one = np.asarray(moved.resize((across, down)), np.float32)[top : top + _INNER, left : left + _INNER]
    other = np.asarray(still.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)
    other = other[start : start + _INNER, start : start + _INNER]
    one, other = (np.stack([_blurred(each[:, :, k]) for k in range(3)], axis=2) for each in (one, other))
    shown = np.minimum(one.min(2), other.min(2)) < 255 - _BACKGROUND
    if shown.any():
        one, other = one[shown], other[shown]
    factor = np.clip((one * other).sum() / max(1.0, float((one * one).sum())), *_BRIGHTNESS)
    return float(np.abs(other - factor * one).mean())
