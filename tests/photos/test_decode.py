"""Photo bytes of every kind end as pixels or as a status of the closed list; nothing raises, no half photo is ok."""

from __future__ import annotations

import random
import struct
import time
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from fashion_udf.photos import decode, resize
from fashion_udf.photos.decode import MAX_PIXELS, Decoded
from fashion_udf.photos.formats import ALLOWED_FORMATS
from fashion_udf.samples.broken_photos import UNREADABLE, encoded, odd_photos
from fashion_udf.schema import Status

FAILURES = {Status.IMAGE_TRUNCATED, Status.IMAGE_UNSUPPORTED, Status.IMAGE_CORRUPT, Status.IMAGE_TOO_LARGE}
CANARY = "private canary"
SMOOTH = Image.fromarray(np.random.default_rng(5).integers(0, 256, (12, 9, 3), np.uint8)).resize((90, 120))
ODD = odd_photos(SMOOTH)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    **{form.lower(): (form, {}) for form in ALLOWED_FORMATS},
    "progressive": ("JPEG", {"progressive": True}),
    "webp-lossless": ("WEBP", {"lossless": True}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
}


@pytest.fixture(autouse=True)
def _truncated_photos_stay_refused() -> Iterator[None]:
    yield
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def _decode(data: bytes, size: int = 64, **limits: int) -> Decoded:
    before = zlib.crc32(data)
    decoded = decode.decode(data, size, **limits)
    assert zlib.crc32(data) == before
    assert decoded.status in {Status.OK, *FAILURES}
    assert (decoded.status == Status.OK) == (decoded.pixels is not None) == (decoded.error is None)
    if decoded.pixels is not None:
        assert (decoded.pixels.shape, decoded.pixels.dtype) == ((size, size, 3), np.uint8)
    assert CANARY not in (decoded.error or "") and len(decoded.error or "") < 150
    return decoded


def _photo(kind: str, picture: Image.Image = SMOOTH) -> bytes:
    """A photo whose metadata holds the canary, wherever the format has a place for it."""
    form, options = KINDS[kind]
    exif = Image.Exif()
    exif[270] = CANARY
    return encoded(picture, form, exif=exif, comment=CANARY.encode(), **options)


def _png(width: int, height: int, depth: int, colour: int, body: bytes, *more: tuple[bytes, bytes]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), *more, (b"IDAT", body), (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _declared(form: str, width: int, height: int) -> bytes:
    """A small file whose header says another size."""
    if form == "PNG":
        return _png(width, height, 8, 2, zlib.compress(bytes(99)))
    orders = {"JPEG": ">HH", "GIF": "<HH", "BMP": "<ii", "TIFF": "<HHIIHHII", "AVIF": ">II"}

    def fields(columns: int, rows: int) -> bytes:
        values = {"JPEG": (rows, columns), "TIFF": (256, 4, 1, columns, 257, 4, 1, rows)}
        return struct.pack(orders[form], *values.get(form, (columns, rows)))

    whole = encoded(SMOOTH, form)
    assert fields(*SMOOTH.size) in whole
    return whole.replace(fields(*SMOOTH.size), fields(width, height), 1)


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when a pixel is decoded."""

    def load(picture: Image.Image) -> None:
        raise AssertionError("decoded")

    for plugin in decode._OPENERS.values():
        monkeypatch.setattr(plugin, "load", load)


def test_every_troublesome_file_ends_in_a_status(shared_data: Path) -> None:
    statuses = {}
    for path in sorted((shared_data / "bad-images").iterdir()):
        data, start = path.read_bytes(), time.monotonic()
        statuses[path.name] = _decode(data).status
        assert time.monotonic() - start < 5, path.name
    assert len(statuses) > 50 and set(statuses.values()) == {Status.OK, *FAILURES}
    assert {statuses[name] for name in ("eps__1.eps", "hopper.tar", "hdf5.h5")} == {Status.IMAGE_UNSUPPORTED}
    assert {statuses[name] for name in ("decompression_bomb.gif", "bmp__b__reallybig.bmp")} == {Status.IMAGE_TOO_LARGE}
    assert {statuses[f"hopper_orientation_{value}.jpg"] for value in range(2, 9)} == {Status.OK}
    assert statuses["truncated_jpeg.jpg"] == Status.IMAGE_TRUNCATED


@pytest.mark.parametrize("name", ODD)
def test_an_odd_photo_is_ok_exactly_when_it_is_readable(name: str) -> None:
    assert (_decode(ODD[name]).status == Status.OK) == (name not in UNREADABLE)


def test_an_upload_of_which_nothing_arrived_is_truncated() -> None:
    assert _decode(b"") == Decoded(None, Status.IMAGE_TRUNCATED, "the file is empty")


def test_a_bomb_is_refused_from_its_header(no_pixels: None) -> None:
    rows = zlib.compressobj(1)
    body = b"".join(rows.compress(bytes(3751)) for _ in range(30_000)) + rows.flush()
    assert len(body) < 1_000_000
    error = f"30000 x 30000 pixels, at most {MAX_PIXELS} and 65535 a side are accepted"
    assert _decode(_png(30_000, 30_000, 1, 0, body)) == Decoded(None, Status.IMAGE_TOO_LARGE, error)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "AVIF"])
def test_half_as_many_pixels_again_as_allowed_are_refused_from_the_header(no_pixels: None, form: str) -> None:
    assert _decode(_declared(form, 12_000, 11_185)).status == Status.IMAGE_TOO_LARGE


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_of_pixels_is_exact(kind: str) -> None:
    assert _decode(_photo(kind), max_pixels=90 * 120).status == Status.OK
    assert _decode(_photo(kind), max_pixels=90 * 120 - 1).status == Status.IMAGE_TOO_LARGE


def test_a_side_longer_than_a_jpeg_can_have_is_refused() -> None:
    assert _decode(_png(65_535, 1, 8, 0, zlib.compress(bytes(65_536)))).status == Status.OK
    assert _decode(_png(65_536, 1, 8, 0, zlib.compress(bytes(65_537)))).status == Status.IMAGE_TOO_LARGE


def test_the_limit_of_bytes_is_exact_and_comes_first() -> None:
    data = _photo("jpeg")
    assert _decode(data, max_bytes=len(data)).status == Status.OK
    assert _decode(data, max_bytes=len(data) - 1).status == Status.IMAGE_TOO_LARGE
    assert _decode(b"no photo", max_bytes=7).status == Status.IMAGE_TOO_LARGE


def test_text_and_tiles_that_would_fill_the_memory_are_too_large(no_pixels: None) -> None:
    text = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000), 1))
    assert _decode(_png(8, 8, 8, 0, zlib.compress(bytes(72)), text)).status == Status.IMAGE_TOO_LARGE
    tiled = encoded(SMOOTH, "TIFF")
    for old, new in ((278, 322), (284, 323)):
        start = tiled.index(struct.pack("<HH", old, 4 if old == 278 else 3))
        tiled = tiled[:start] + struct.pack("<HHII", new, 4, 1, 60_000) + tiled[start + 12 :]
    assert _decode(tiled).error == "a TIFF of tiles of 60000 x 60000 pixels"


def test_a_jpeg_of_endless_scans_is_refused_and_a_film_behind_one_is_not() -> None:
    whole = _photo("progressive")
    last = whole.rindex(b"\xff\xda")
    comment = b"\xff\xfe\0\4\xff\xd9"  # looks like the end
    bomb = whole[:last] + (whole[last:-2] + comment) * 200 + b"\xff\xd9"
    assert _decode(bomb).error == "a JPEG of more than 100 scans"
    film = random.Random(1).randbytes(12_000_000)
    assert film.count(b"\xff\xda") > 100
    assert np.array_equal(_decode(whole + film).pixels, _decode(whole).pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_never_raise(kind: str) -> None:
    flips, data = random.Random(f"flips of {kind}"), _photo(kind, SMOOTH.resize((30, 40)))
    seen = set()
    for _ in range(60):
        altered = bytearray(data)
        for _ in range(flips.choice((1, 2, 9))):
            altered[flips.randrange(flips.choice((60, len(data))))] ^= 1 << flips.randrange(8)
        seen.add(_decode(bytes(altered)).status)
    assert len(seen) > 1


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"", *(_photo(kind)[:40] for kind in KINDS)]), st.binary(max_size=99))
def test_any_bytes_give_a_status(start: bytes, tail: bytes) -> None:
    _decode(start + tail)


@pytest.mark.parametrize(
    "start",
    [
        *(b"%PDF-1.7\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6", b"PK\3\4", b"8BPS\0\1", b"\0\0\1\0\1\0"),
        *(b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!DOCTYPE html>", b"P6 8 8 255 ", b"\x89HDF\r\n\x1a\n"),
    ],
)
def test_a_file_of_another_kind_is_unsupported_even_with_a_photo_inside(start: bytes) -> None:
    assert _decode(start.ljust(64)).status == Status.IMAGE_UNSUPPORTED
    assert _decode(start.ljust(64) + _photo("jpeg")).status == Status.IMAGE_UNSUPPORTED


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(form: str) -> None:
    later = [SMOOTH.rotate(angle) for angle in range(10, 350, 20)]
    animated = encoded(SMOOTH, form, save_all=True, append_images=later, lossless=True)
    first, alone = _decode(animated).pixels, _decode(encoded(SMOOTH, form, lossless=True)).pixels
    assert first is not None and (first == alone).all()


def test_many_threads_decode_alike_and_leave_the_warning_filters_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def warning(picture: Image.Image) -> Image.Image:
        warnings.warn("an odd file", stacklevel=1)
        return picture

    monkeypatch.setattr(resize, "eight_bit", warning)
    data, before, alone = _photo("jpeg"), list(warnings.filters), _decode(_photo("jpeg")).pixels
    assert alone is not None
    with ThreadPoolExecutor(8) as pool:
        assert all(np.array_equal(decoded.pixels, alone) for decoded in pool.map(_decode, [data] * 200))
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), Status.IMAGE_TOO_LARGE),
        (ValueError(f"Too large: {CANARY}"), Status.IMAGE_TOO_LARGE),
        (NotImplementedError(CANARY), Status.IMAGE_UNSUPPORTED),
        (OSError(f"Unsupported {CANARY}"), Status.IMAGE_UNSUPPORTED),
        (OSError(f"truncated {CANARY}"), Status.IMAGE_TRUNCATED),
        *((kind(CANARY), Status.IMAGE_CORRUPT) for kind in (OSError, SyntaxError, KeyError, struct.error, TypeError)),
    ],
)
def test_an_error_is_told_without_its_words(monkeypatch: Any, error: Exception, status: Status) -> None:
    def fail(*picture: Any) -> None:
        raise error

    monkeypatch.setattr(resize, "square", fail)
    assert _decode(_photo("png")).status == status
