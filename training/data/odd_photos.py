"""Pictures without a recognisable product: noise, cards, pages, charts, damaged photos.

A model that was only trained on photos of products finds a product in every picture. Half of the kinds are held out
from training, for measuring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from . import odd_drawings

Picture = NDArray[np.uint8]  # [size, size, 3]
#: (random generator, size in pixels, photos of products) -> picture.
_Maker = Callable[[np.random.Generator, int, Sequence[Picture]], Picture]


def odd_photos(
    count: int,
    seed: int,
    size: int,
    photos: Sequence[Picture] | None = None,
    kinds: Sequence[str] | None = None,
) -> Iterator[Picture]:
    """Yield pictures uint8[size, size, 3], one kind after the other. The same arguments yield the same pictures.

    Args:
        count: number of pictures.
        seed: seed of the random generator.
        size: width and height in pixels.
        photos: photos of products, uint8[h, w, 3] each. Without photos, kinds that change a photo are left out.
        kinds: names in `KINDS`. Default: all.

    Raises:
        KeyError: a name is not in `KINDS`.
        ValueError: no kind is left.
    """
    names = [name for name in (KINDS if kinds is None else kinds) if photos or KINDS[name] not in _SPOILING]
    if not names:
        raise ValueError(f"Expected a kind of pictures, or photos of products to change. Received: {kinds}, no photo")
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield KINDS[names[number % len(names)]](rng, size, photos or ())


def _drawn(draw: Callable[[np.random.Generator, int], Image.Image]) -> _Maker:
    return lambda rng, size, photos: np.asarray(draw(rng, size).convert("RGB"))


def _pixel_noise(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return random pixels, in grey or in colours."""
    channels = 3 if rng.random() < 0.5 else 1
    mean, deviation = rng.uniform(60, 200), rng.uniform(20, 100)
    return _eight_bit(rng.normal(mean, deviation, (size, size, channels)))


def _smooth_noise(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return random levels, from 2 x 2 to a quarter of the size, enlarged to smooth clouds."""
    cells = int(np.exp(rng.uniform(np.log(2), np.log(max(size // 4, 3)))))
    few = _eight_bit(rng.uniform(0, 256, (cells, cells, 3 if rng.random() < 0.7 else 1)))
    return np.asarray(Image.fromarray(few).resize((size, size), Image.Resampling.BICUBIC))


def _specks(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return one colour with black and white pixels."""
    picture = _flat(rng, size, photos).copy()
    share = rng.uniform(0.02, 0.6)
    drawn = rng.random((size, size))
    picture[drawn < share / 2] = 0
    picture[drawn > 1 - share / 2] = 255
    return picture


def _streaks(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return rows or columns of one colour each, as on a broken screen."""
    thickness = int(rng.integers(1, max(size // 10, 2)))
    lines = rng.integers(0, 256, (-(-size // thickness), 1, 3)).repeat(thickness, axis=0)[:size]
    picture = np.broadcast_to(lines, (size, size, 3)).astype(np.uint8)
    return np.ascontiguousarray(picture.swapaxes(0, 1) if rng.random() < 0.5 else picture)


def _flat(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return one colour, most often white, black or grey."""
    draw = rng.random()
    colour = rng.integers(0, 256, 3) if draw < 0.6 else np.full(3, 255 if draw < 0.75 else rng.integers(0, 256))
    return np.broadcast_to(colour.astype(np.uint8), (size, size, 3)).copy()


def _gradient(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return a linear or a radial gradient between two colours."""
    y, x = np.indices((size, size)) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.6:
        share = x * np.cos(angle) + y * np.sin(angle) + 0.5
    else:
        share = np.hypot(x - rng.uniform(-0.4, 0.4), y - rng.uniform(-0.4, 0.4)) * rng.uniform(1, 2)
    return _blend(rng, np.clip(share, 0, 1))


def _pattern(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return stripes, checks, dots or rings over the whole picture, as on a sample of cloth."""
    y, x = np.indices((size, size)) * (2 * np.pi * rng.uniform(2, 20) / size)
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    waves = [
        np.sin(along),
        np.sin(along) * np.sin(across),
        np.minimum(np.sin(along), np.sin(across)),
        np.sin(np.hypot(x - x.mean(), y - y.mean())),
        np.sin(along + np.sin(across)),
    ][int(rng.integers(5))]
    hardness = rng.uniform(0.5, 20)
    return _blend(rng, 1 / (1 + np.exp(-hardness * waves)))


def _shuffled(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return a product's photo, cut into 16 to 100 squares in random order."""
    cells = int(rng.integers(4, 11))
    side = -(-size // cells)
    photo = _resized(photos[int(rng.integers(len(photos)))], side * cells)
    squares = photo.reshape(cells, side, cells, side, 3).swapaxes(1, 2).reshape(cells * cells, side, side, 3)
    squares = squares[rng.permutation(len(squares))].reshape(cells, cells, side, side, 3)
    return np.ascontiguousarray(squares.swapaxes(1, 2).reshape(side * cells, side * cells, 3)[:size, :size])


def _blurred(rng: np.random.Generator, size: int, photos: Sequence[Picture]) -> Picture:
    """Return a product's photo, blurred until no shape is visible."""
    photo = Image.fromarray(_resized(photos[int(rng.integers(len(photos)))], size))
    return np.asarray(photo.filter(ImageFilter.GaussianBlur(size * rng.uniform(0.12, 0.25))))


def _blend(rng: np.random.Generator, share: NDArray[np.float64]) -> Picture:
    """Mix two colours by `share` [size, size], the share of the second one from 0 to 1."""
    first, second = rng.integers(0, 256, (2, 3))
    return _eight_bit(first + share[..., None] * (second - first))


def _resized(photo: Picture, size: int) -> Picture:
    return np.asarray(Image.fromarray(photo).convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def _eight_bit(levels: NDArray[np.float64]) -> Picture:
    """Round levels [h, w, 1 or 3] to uint8[h, w, 3]."""
    rounded = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return np.broadcast_to(rounded, (*rounded.shape[:2], 3)).copy()


#: Kinds by name. Of each pair of similar neighbours, one is for training and the other for measuring.
KINDS: dict[str, _Maker] = {
    "pixel noise": _pixel_noise,
    "specks": _specks,
    "smooth noise": _smooth_noise,
    "gradient": _gradient,
    "flat colour": _flat,
    "streaks": _streaks,
    "pattern": _pattern,
    "shapes": _drawn(odd_drawings.shapes),
    "placeholder card": _drawn(odd_drawings.placeholder),
    "logo card": _drawn(odd_drawings.logo),
    "text page": _drawn(odd_drawings.text_page),
    "screenshot": _drawn(odd_drawings.screenshot),
    "bar chart": _drawn(odd_drawings.bar_chart),
    "line chart": _drawn(odd_drawings.line_chart),
    "size table": _drawn(odd_drawings.size_table),
    "bar code": _drawn(odd_drawings.bar_code),
    "shuffled photo": _shuffled,
    "blurred photo": _blurred,
}
TRAINED, HELD_OUT = tuple(KINDS)[::2], tuple(KINDS)[1::2]
_SPOILING = (_shuffled, _blurred)
