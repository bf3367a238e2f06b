"""Large JPEGs, decoded smaller: nearly the pixels of a full decode, and exactly its statuses and limits."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from fashion_udf.photos import decode, resize
from fashion_udf.samples.broken_photos import encoded
from fashion_udf.schema import Status
from tests.photos.test_resize import STORED

SIZE = 96
LARGE = (470, 617)  # 6.4 times the square, as 1440 is of 224; no scale divides it
CELLS = Image.fromarray(np.random.default_rng(8).integers(0, 256, (30, 40, 3), np.uint8))
RED = (200, 40, 60)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "4:2:0": ("RGB", {}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:4:4": ("RGB", {"subsampling": 0}),
    "progressive": ("RGB", {"progressive": True}),
    "restarts": ("RGB", {"restart_marker_rows": 1}),
    "grey": ("L", {}),
    "cmyk": ("CMYK", {}),
    "grey-progressive": ("L", {"progressive": True}),
}

Decode = Callable[[bytes], decode.Decoded]


@pytest.fixture
def fully(monkeypatch: pytest.MonkeyPatch) -> Decode:
    """`decode.decode` without draft."""

    def decode_fully(data: bytes) -> decode.Decoded:
        with monkeypatch.context() as patch:
            patch.setattr(resize, "draft", lambda image, size: image.size)
            return decode.decode(data, SIZE)

    return decode_fully


def _photo(kind: str = "4:2:0", size: tuple[int, int] = LARGE, **more: Any) -> bytes:
    mode, options = KINDS[kind]
    picture = CELLS.resize(size, Image.Resampling.BICUBIC).convert(mode)
    return encoded(picture, "JPEG", quality=88, **options, **more)


def _difference(decoded: decode.Decoded, expected: decode.Decoded) -> NDArray[np.int16]:
    assert decoded.pixels is not None and expected.pixels is not None
    return np.abs(decoded.pixels.astype(np.int16) - expected.pixels)


def _header(width: int, height: int) -> JpegImagePlugin.JpegImageFile:
    whole = encoded(Image.new("L", (8, 8)), "JPEG")
    data = whole.replace(struct.pack(">HH", 8, 8), struct.pack(">HH", height, width), 1)
    return JpegImagePlugin.JpegImageFile(io.BytesIO(data))


@given(st.integers(1, 65_535), st.integers(1, 65_535), st.sampled_from([32, 64, 224]), st.sampled_from([1.0, 1.5, 2.0]))
@example(671, 671, 224, 1.5)
@example(672, 503, 224, 1.5)
def test_the_scale_is_the_smallest_that_leaves_the_margin(width: int, height: int, size: int, margin: float) -> None:
    image = _header(width, height)
    extent = resize.draft(image, size, margin)
    scale = round(width / extent[0])
    assert scale in (1, 2, 4, 8) and extent == (width / scale, height / scale)
    assert image.size == (-(-width // scale), -(-height // scale))
    assert scale == 1 or max(extent) >= margin * size
    if min(width, height) * margin * size >= max(width, height):  # else the short side would be left without a pixel
        assert scale == 8 or max(extent) / 2 < margin * size


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_below_the_threshold_has_the_pixels_of_a_full_decode(kind: str, fully: Decode) -> None:
    threshold = int(2 * resize.DRAFT_MARGIN * SIZE * (2 if kind == "4:2:2" else 1))
    below, at = _photo(kind, (200, threshold - 1)), _photo(kind, (200, threshold))
    assert not _difference(decode.decode(below, SIZE), fully(below)).any()
    assert _difference(decode.decode(at, SIZE), fully(at)).any()


@pytest.mark.parametrize("size", [LARGE, LARGE[::-1], (600, 600), (471, 613), (700, 40), (1603, 1201)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_large_photo_is_nearly_a_full_decode(kind: str, size: tuple[int, int], fully: Decode) -> None:
    data = _photo(kind, size)
    difference = _difference(decode.decode(data, SIZE), fully(data))
    assert 0 < difference.mean() < 1.3 and difference.max() <= 16


@pytest.mark.parametrize("value", STORED)
def test_a_large_photo_held_any_way_is_turned_upright(value: int, fully: Decode) -> None:
    turn, exif = STORED[value], Image.Exif()
    exif[274] = value
    upright = CELLS.resize((465, 617), Image.Resampling.BICUBIC)
    held = encoded(upright if turn is None else upright.transpose(turn), "JPEG", quality=92, exif=exif)
    difference = _difference(decode.decode(held, SIZE), fully(encoded(upright, "JPEG", quality=92)))
    assert difference.mean() < 1.0 and difference.max() <= 16


@settings(max_examples=60)
@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from(list(STORED)), st.sampled_from([17, 32, 96]))
@example(900, 2, 6, 32)
@example(1, 899, 8, 32)
def test_any_photo_gives_a_square_on_pure_white(width: int, height: int, value: int, size: int) -> None:
    exif = Image.Exif()
    exif[274] = value
    square = decode.decode(encoded(Image.new("RGB", (width, height), RED), "JPEG", exif=exif), size).pixels
    assert square is not None and (square.shape, square.dtype) == ((size, size, 3), np.uint8)
    if value >= 5:
        width, height = height, width
    columns, rows = (max(1, round(side * size / max(width, height))) for side in (width, height))
    left, top = (size - columns) // 2, (size - rows) // 2
    inside = np.zeros((size, size), bool)
    inside[top : top + rows, left : left + columns] = True
    assert (square[~inside] == 255).all() and (np.abs(square[inside].astype(int) - RED) <= 4).all()


def _damaged(data: bytes, chance: random.Random) -> list[bytes]:
    """The photo cut everywhere, with bits flipped, with pieces overwritten and left out."""
    cuts = {len(data) * percent // 40 for percent in range(40)} | set(range(len(data) - 12, len(data)))
    damaged = [data[:cut] for cut in sorted(cuts)]
    for position in range(60):
        altered = bytearray(data)
        for _ in range(chance.choice((1, 2, 9))):
            altered[chance.randrange(chance.choice((700, len(data))))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(altered))
        start, length = chance.randrange(len(data)), chance.randrange(1, 300)
        damaged.append(data[:start] + chance.randbytes(length * (position % 2)) + data[start + length :])
    return damaged


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_large_photo_has_the_status_of_a_full_decode(kind: str, fully: Decode) -> None:
    whole = _photo(kind)
    statuses = set()
    for data in _damaged(whole, random.Random(f"damage of {kind}")):
        decoded, expected = decode.decode(data, SIZE), fully(data)
        assert (decoded.status, decoded.error) == (expected.status, expected.error)
        statuses.add(decoded.status)
    assert {Status.OK, Status.IMAGE_TRUNCATED, Status.IMAGE_CORRUPT} <= statuses


@pytest.mark.parametrize("kind", ["4:2:0", "progressive"])
def test_a_large_photo_without_its_last_bytes_is_truncated(kind: str) -> None:
    data = _photo(kind)
    for cut in (len(data) // 2, len(data) - 200):
        assert decode.decode(data[:cut], SIZE).status == Status.IMAGE_TRUNCATED


def test_limits_are_of_the_full_size() -> None:
    data, area = _photo(), LARGE[0] * LARGE[1]
    assert decode.decode(data, SIZE, max_pixels=area).status == Status.OK
    refused = decode.decode(data, SIZE, max_pixels=area - 1)
    assert refused.error == f"470 x 617 pixels, at most {area - 1} and 65535 a side are accepted"
    whole = _photo("progressive")
    last = whole.rindex(b"\xff\xda")
    bomb = whole[:last] + whole[last:-2] * 101 + b"\xff\xd9"
    assert decode.decode(bomb, SIZE).error == "a JPEG of more than 100 scans"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_lossless_jpeg_is_never_scaled(channels: int) -> None:
    width, height = LARGE
    frame = b"".join(bytes([number, 0x11, 0]) for number in range(channels))
    scan = b"".join(bytes([number, 0]) for number in range(channels))
    parts = {
        0xC3: struct.pack(">BHHB", 8, height, width, channels) + frame,
        0xC4: bytes([0, 1, *[0] * 15, 0]),  # one code, of one bit: no difference from the predicted value
        0xDA: bytes([channels]) + scan + bytes([1, 0, 0]),
    }
    header = b"".join(bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in parts.items())
    data = b"\xff\xd8" + header + bytes(width * height * channels // 8 + 1) + b"\xff\xd9"
    square = decode.decode(data, SIZE).pixels
    assert square is not None and (square[:, SIZE // 2] == 128).all()
