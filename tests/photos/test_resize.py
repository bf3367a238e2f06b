"""Every colour mode and orientation ends as the same upright RGB square, transparent parts white."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops

from fashion_udf.photos import decode, resize

RED, BLUE = (200, 40, 60), (30, 60, 180)

#: How a picture must be stored for its EXIF orientation to turn it upright again.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}


def _encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _decoded(data: bytes, size: int) -> NDArray[np.int16]:
    decoded = decode.decode(data, size)
    assert decoded.pixels is not None, (decoded.status, decoded.error)
    assert (decoded.pixels.shape, decoded.pixels.dtype) == ((size, size, 3), np.uint8)
    return decoded.pixels.astype(np.int16)


def _corners() -> Image.Image:
    """A portrait with a different colour in each corner, smooth enough for JPEG."""
    four = np.array([[(250, 20, 20), (20, 200, 20)], [(20, 20, 250), (220, 200, 20)]], np.uint8)
    return Image.fromarray(four).resize((48, 64), Image.Resampling.BILINEAR)


def _noise(size: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (size, size, channels), np.uint8)


def _oriented(value: int, form: str, **options: Any) -> bytes:
    turn = STORED.get(value)
    exif = Image.Exif()
    exif[274] = value
    return _encoded(_corners() if turn is None else _corners().transpose(turn), form, exif=exif, **options)


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_photo_held_any_way_is_turned_upright(form: str, value: int) -> None:
    options = LOSSLESS.get(form, {"quality": 95})
    upright = _decoded(_encoded(_corners(), form, **options), 64)
    difference = np.abs(_decoded(_oriented(value, form, **options), 64) - upright)
    assert difference.max() == 0 if form in LOSSLESS else difference.mean() < 2
    assert (upright[:, :8] == 255).all() and np.ptp(upright[:, 8:56]) > 100, "upright is a portrait"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [0, 9, 65_535, b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_an_orientation_of_9_or_garbage_is_upright(form: str, exif: int | bytes) -> None:
    if isinstance(exif, int):
        data = _oriented(exif, form)
    else:
        data = _encoded(_corners(), form, exif=exif)
    assert (_decoded(data, 64) == _decoded(_encoded(_corners(), form), 64)).all()


def test_a_png_with_its_exif_behind_the_pixels_is_turned() -> None:
    whole = _oriented(6, "PNG")
    start = whole.index(b"eXIf") - 4
    end = start + 12 + int(struct.unpack_from(">I", whole, start)[0])
    moved = whole[:start] + whole[end:-12] + whole[start:end] + whole[-12:]
    assert moved.index(b"eXIf") > moved.index(b"IDAT")
    assert (_decoded(moved, 64) == _decoded(_encoded(_corners()), 64)).all()


@pytest.mark.parametrize("form", LOSSLESS)
def test_an_rgb_photo_of_the_right_size_passes_unchanged(form: str) -> None:
    noise = _noise(64)
    assert (_decoded(_encoded(Image.fromarray(noise), form, **LOSSLESS[form]), 64) == noise).all()


@pytest.mark.parametrize(("width", "height"), [(80, 40), (40, 80), (20, 10), (1, 1), (99, 1), (1, 65_535), (65_535, 1)])
def test_a_photo_is_fitted_and_centred_on_white(width: int, height: int) -> None:
    square = _decoded(_encoded(Image.new("RGB", (width, height), RED)), 40)
    scale = 40 / max(width, height)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (40 - columns) // 2, (40 - rows) // 2
    inside = np.zeros((40, 40), bool)
    inside[top : top + rows, left : left + columns] = True
    assert (square[inside] == RED).all() and (square[~inside] == 255).all()


def test_shrinking_averages_and_does_not_pick() -> None:
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(_decoded(_encoded(Image.fromarray(stripes)), 32)[:, 2:-2] - 127).max() <= 3


def _hidden(mode: str, colour: int) -> bytes:
    """A picture whose left half is transparent over `colour`."""
    alpha = np.full((50, 50), 255, np.uint8)
    alpha[:, :25] = 0
    channels = 3 if mode == "RGBA" else 1
    values = np.full((50, 50, channels), 90, np.uint8)
    values[:, :25] = colour
    return _encoded(Image.fromarray(np.dstack([values, alpha]), mode))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("size", [50, 23, 120])
def test_colours_under_no_alpha_are_never_seen(mode: str, size: int) -> None:
    dark, light = _decoded(_hidden(mode, 0), size), _decoded(_hidden(mode, 240), size)
    assert (dark == light).all()
    assert (dark[:, : size // 2 - 2] == 255).all() and (dark[:, size // 2 + 3 :] == 90).all()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF"])
def test_half_alpha_is_half_white(form: str) -> None:
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    data = _encoded(Image.new("RGBA", (32, 32), (*BLUE, 128)), form, **options)
    expected = [round((value + 255) / 2) for value in BLUE]
    assert np.abs(_decoded(data, 32) - expected).max() <= 3


def _palette() -> Image.Image:
    picture = Image.new("P", (40, 40), 1)
    picture.putpalette([0, 0, 0, *RED, *BLUE])
    picture.paste(2, (20, 0, 40, 40))
    return picture


PALETTE, WHITE, BLACK = _palette(), (255,) * 3, (0,) * 3
COLOUR, ONE_BIT = PALETTE.convert("RGB"), PALETTE.point([0, 0, 255] + [0] * 253, "1")


@pytest.mark.parametrize(
    ("picture", "form", "options", "left", "right"),
    [
        (PALETTE, "PNG", {}, RED, BLUE),
        (PALETTE, "PNG", {"transparency": 1}, WHITE, BLUE),
        (PALETTE, "PNG", {"transparency": bytes([255, 0, 255])}, WHITE, BLUE),
        (PALETTE, "GIF", {}, RED, BLUE),
        (PALETTE, "GIF", {"transparency": 2}, RED, WHITE),
        (COLOUR, "PNG", {"transparency": RED}, WHITE, BLUE),
        (COLOUR, "BMP", {}, RED, BLUE),
        (Image.new("L", (40, 40), 77), "PNG", {"transparency": 77}, WHITE, WHITE),
        (ONE_BIT, "PNG", {}, BLACK, WHITE),
        (ONE_BIT, "BMP", {}, BLACK, WHITE),
        (ONE_BIT, "TIFF", {"compression": "group4"}, BLACK, WHITE),
        (COLOUR.convert("CMYK"), "TIFF", {}, RED, BLUE),
        (COLOUR.convert("YCbCr"), "TIFF", {}, RED, BLUE),
    ],
)
def test_each_colour_mode_shows_its_colours(
    picture: Image.Image, form: str, options: dict[str, Any], left: Any, right: Any
) -> None:
    square = _decoded(_encoded(picture, form, **options), 40)
    assert np.abs(square[:, :20] - left).max() <= 2 and np.abs(square[:, 20:] - right).max() <= 2


@pytest.mark.parametrize("mode", ["RGBa", "La", "PA", "RGBX", "HSV"])
def test_modes_that_only_a_decoder_makes_are_converted_too(mode: str) -> None:
    grey = Image.new("L", (4, 4), 77)
    steps = {"RGBa": ["RGBA", "RGBa"], "La": ["LA", "La"], "PA": ["P", "PA"], "RGBX": ["RGB", "RGBX"]}
    for step in steps.get(mode, ["RGB", mode]):
        grey = grey.convert(step)
    assert grey.mode == mode
    assert (resize.square(resize.eight_bit(grey), 4) == 77).all()


def test_neutral_lab_is_grey() -> None:
    grey = Image.merge("LAB", [Image.new("L", (20, 20), level) for level in (137, 128, 128)])  # L* = 53.6
    assert np.abs(_decoded(_encoded(grey, "TIFF"), 20) - 128).max() <= 2


@pytest.mark.parametrize("adobe", [True, False])
def test_a_cmyk_jpeg_has_its_colours_with_and_without_adobe_s_block(adobe: bool) -> None:
    cmyk = _corners().convert("CMYK")
    data = _encoded(cmyk if adobe else ImageChops.invert(cmyk), "JPEG", quality=95)
    if not adobe:
        start = data.index(b"\xff\xee")
        data = data[:start] + data[start + 16 :]
    assert (b"Adobe" in data) == adobe
    assert np.abs(_decoded(data, 64) - _decoded(_encoded(_corners()), 64)).mean() < 3


RAMP = np.tile(np.linspace(0, 65_535, 512).astype(np.uint16), (512, 1))


@pytest.mark.parametrize(
    ("picture", "form"),
    [
        (Image.fromarray(RAMP), "PNG"),
        (Image.fromarray(RAMP), "TIFF"),
        (Image.frombytes("I;16B", (512, 512), RAMP.astype(">u2").tobytes()), "TIFF"),
        (Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
        (Image.fromarray(RAMP.astype(np.float32)), "TIFF"),
        (Image.fromarray((RAMP / 65_535).astype(np.float32)), "TIFF"),
    ],
)
def test_a_deep_grey_ramp_keeps_its_levels(picture: Image.Image, form: str) -> None:
    levels = _decoded(_encoded(picture, form), 512)[256, :, 0]
    assert len(np.unique(levels)) >= 250
    assert (np.diff(levels) >= 0).all() and (levels[0], levels[-1]) == (0, 255)


def test_a_transparent_level_of_16_bit_grey_is_white() -> None:
    grey = np.full((30, 30), 1000, np.uint16)
    grey[:, 15:] = 60_000
    square = _decoded(_encoded(Image.fromarray(grey), transparency=1000), 30)
    assert (square[:, :15] == 255).all() and (square[:, 15:] == 60_000 >> 8).all()


def test_floats_that_are_no_numbers_are_black_and_negative_ones_too() -> None:
    row = np.array([np.nan, -np.inf, -3.0, 0.0, 0.5, 1.0], np.float32)
    grey = np.asarray(resize.eight_bit(Image.fromarray(np.tile(row, (4, 1)))))
    assert grey[0].tolist() == [0, 0, 0, 0, 128, 255]
