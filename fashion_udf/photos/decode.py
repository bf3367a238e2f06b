"""Decode photo bytes to pixels, or return the reason of a failure. Training and scoring use the same code.

`formats` recognises the format, Pillow decodes, and `resize` makes the square. All limits are checked on the header,
before a pixel is decoded.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageChops,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from fashion_udf.photos import formats, resize
from fashion_udf.photos.formats import ALLOWED_FORMATS
from fashion_udf.schema import Status

#: Part of the fingerprint. It increases whenever the same photo or text gives other pixels or tokens.
PREPROCESSING_VERSION = "2"

MAX_BYTES = 50_000_000
MAX_PIXELS = 89_478_485  # Pillow's MAX_IMAGE_PIXELS; above it, Pillow only warns up to twice as many
MAX_SIDE = 65_535  # pixels; the maximum of a JPEG
MAX_SCANS = 100  # of a progressive JPEG: encoders write about ten, and each scan is a pass over the picture

# A worker may only use one thread per core. By default, AVIF's decoder starts one thread per core for every photo.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

#: The plugins are called directly: `Image.open` uses the MPO plugin for a JPEG with an MPF block, and fails on broken
#: blocks.
_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
#: The frame marker of a lossless JPEG. libjpeg decodes it at full size for any requested scale, and would write longer
#: lines than Pillow's buffer has.
_LOSSLESS = b"\xff\xc3"
#: Texts of Pillow's messages for files above a limit, and for kinds of files that its decoders do not support.
_TOO_LARGE = ("too large", "too much memory", "decompression bomb")
_UNSUPPORTED = ("unsupported", "not supported", "not yet supported", "cannot handle", "unknown pixel mode")


@dataclass(frozen=True)
class Decoded:
    """The pixels of a photo with status `ok`, or no pixels and the reason. `error` never has content of the file."""

    pixels: NDArray[np.uint8] | None  # uint8[size, size, 3], RGB
    status: Status
    error: str | None


class _RefusedError(Exception):
    """The photo is not decoded, because of one of our own checks."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def decode(data: bytes, size: int = 224, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a photo. This function never raises, for any bytes.

    Args:
        data: bytes of the file. An empty file is `image_truncated`, like a failed upload.
        size: side of the square, in pixels.
        max_bytes: larger files are `image_too_large`.
        max_pixels: pictures that declare more pixels are `image_too_large`, before a pixel is decoded. Pillow always
            refuses more than twice `MAX_PIXELS`.
    """
    name = None
    try:
        name = _accepted(data, max_bytes)
        with _no_warnings():
            return Decoded(_upright(name, data, size, max_pixels), Status.OK, None)
    except _RefusedError as refusal:
        return Decoded(None, refusal.status, str(refusal))
    # Pillow's fuzz test expects seven types of exceptions, and plugins raise others too (struct.error, KeyError...).
    except Exception as error:
        assert name is not None  # `_accepted` only raises `_RefusedError`
        return Decoded(None, *_explained(name, data, error))


def _accepted(data: bytes, max_bytes: int) -> str:
    """Return the name of the format, from the first bytes."""
    if len(data) > max_bytes:
        raise _RefusedError(Status.IMAGE_TOO_LARGE, f"{len(data)} bytes, at most {max_bytes} are accepted")
    if not data:
        raise _RefusedError(Status.IMAGE_TRUNCATED, "the file is empty")
    name = formats.sniff(data)
    if name is None and formats.starts_a_photo(data):
        raise _RefusedError(Status.IMAGE_TRUNCATED, f"the file ends after {len(data)} bytes")
    if name is None:
        raise _RefusedError(Status.IMAGE_UNSUPPORTED, f"not a photo in one of {', '.join(ALLOWED_FORMATS)}")
    return name


def _upright(name: str, data: bytes, size: int, max_pixels: int) -> NDArray[np.uint8]:
    """Decode the first frame, and rotate it by its EXIF orientation."""
    exif, extent = b"", None
    if name == "JPEG":
        data, exif = formats.jpeg_parts(data)
        if formats.jpeg_scans(data) > MAX_SCANS:
            raise _RefusedError(Status.IMAGE_TOO_LARGE, f"a JPEG of more than {MAX_SCANS} scans")
    with _open(name, data) as image:
        _check_size(image, max_pixels)
        if isinstance(image, JpegImagePlugin.JpegImageFile) and _LOSSLESS not in data:
            extent = resize.draft(image, size)
        image.load()
        # The TIFF plugin rotates itself. Other formats are read after decoding: PNG may have EXIF after the pixels.
        block = {"JPEG": exif, "TIFF": b""}.get(name, image.info.get("exif", b""))
        # Without Adobe's block, a CMYK JPEG has the values of the standard, but Pillow always inverts them.
        inverted = name == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info
        eight_bit = resize.eight_bit(ImageChops.invert(image) if inverted else image)
        return resize.square(eight_bit, size, extent, formats.orientation(block))


def _open(name: str, data: bytes) -> ImageFile.ImageFile:
    try:
        return _OPENERS[name](io.BytesIO(data))
    except SyntaxError:
        if name != "AVIF":
            raise
        # Pillow refuses an AVIF file with a broken EXIF block. An unknown item name makes Pillow ignore the block.
        return _OPENERS[name](io.BytesIO(data.replace(b"Exif", b"none")))


def _check_size(image: ImageFile.ImageFile, max_pixels: int) -> None:
    if image.width * image.height > max_pixels or max(image.size) > MAX_SIDE:
        raise _RefusedError(
            Status.IMAGE_TOO_LARGE,
            f"{image.width} x {image.height} pixels, at most {max_pixels} and {MAX_SIDE} a side are accepted",
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tile = image.tag_v2.get(322, 0), image.tag_v2.get(323, 0)
        if tile[0] * tile[1] > max_pixels:  # libtiff needs memory for a whole tile, even if the picture is small
            raise _RefusedError(Status.IMAGE_TOO_LARGE, f"a TIFF of tiles of {tile[0]} x {tile[1]} pixels")


def _explained(name: str, data: bytes, error: Exception) -> tuple[Status, str]:
    """Return the status and our own text, because Pillow's messages may quote the file."""
    message = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in message for sign in _TOO_LARGE):
        return Status.IMAGE_TOO_LARGE, f"{name}: larger than the decoder allows ({type(error).__name__})"
    if isinstance(error, NotImplementedError) or any(sign in message for sign in _UNSUPPORTED):
        return Status.IMAGE_UNSUPPORTED, f"{name}: of a kind the decoder does not know ({type(error).__name__})"
    if "truncated" in message or formats.is_cut_short(name, data):
        return Status.IMAGE_TRUNCATED, f"{name}: the file ends before the picture ({len(data)} bytes)"
    return Status.IMAGE_CORRUPT, f"{name}: damaged ({type(error).__name__})"


_quiet = threading.Lock()
_quiet_depth = 0
_quiet_filters = warnings.catch_warnings()


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings about odd files: they do not name a row, and are exceptions under `-W error`.

    Python's warning filters belong to the process. The first decoding thread sets them, and the last one restores them.
    """
    global _quiet_depth, _quiet_filters
    with _quiet:
        if _quiet_depth == 0:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.simplefilter("ignore")
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _quiet_filters.__exit__(None, None, None)
