"""Photo bytes to pixels, or the reason why not; the same for training and scoring.

The format is chosen by `formats`, Pillow decodes, `resize` makes the square. All limits are
checked on the header, before a pixel is decoded.
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

#: Part of the fingerprint: raised whenever the same photo or text gives other pixels or tokens.
PREPROCESSING_VERSION = "2"

MAX_BYTES = 50_000_000
MAX_PIXELS = 89_478_485  # Pillow's MAX_IMAGE_PIXELS, above which it warns of a bomb but decodes up to twice as many
MAX_SIDE = 65_535  # pixels; the most a JPEG can have
MAX_SCANS = 100  # of a progressive JPEG: encoders write about ten, and each costs a pass over the picture

# An engine thread per core is all a worker may use; AVIF's decoder starts one per core for every photo otherwise.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

#: The plugins themselves: `Image.open` hands a JPEG with an MPF block to the MPO plugin, which fails on broken ones.
_OPENERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
#: The frame marker of a lossless JPEG. libjpeg decodes it at its full size, whatever scale it is asked for, and Pillow
#: has it write these lines into a buffer for shorter ones.
_LOSSLESS = b"\xff\xc3"
#: What Pillow's messages hold when a file is more than we or Pillow allow, or of a kind the decoder does not know.
_TOO_LARGE = ("too large", "too much memory", "decompression bomb")
_UNSUPPORTED = ("unsupported", "not supported", "not yet supported", "cannot handle", "unknown pixel mode")


@dataclass(frozen=True)
class Decoded:
    """The pixels of a photo with status `ok`, or no pixels and the reason; `error` never holds the file's content."""

    pixels: NDArray[np.uint8] | None  # uint8[size, size, 3], RGB
    status: Status
    error: str | None


class _RefusedError(Exception):
    """The photo is not decoded, for a reason of ours."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def decode(data: bytes, size: int = 224, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode a photo; never raises, whatever the bytes.

    Args:
        data: the file. An empty one is `image_truncated`: an upload of which nothing arrived.
        size: side of the square, in pixels.
        max_bytes: longer files are `image_too_large`.
        max_pixels: pictures that declare more are `image_too_large`, before a pixel is decoded. Pillow refuses more
            than twice `MAX_PIXELS` whatever is given here.
    """
    name = None
    try:
        name = _accepted(data, max_bytes)
        with _no_warnings():
            return Decoded(_upright(name, data, size, max_pixels), Status.OK, None)
    except _RefusedError as refusal:
        return Decoded(None, refusal.status, str(refusal))
    # Pillow's own fuzz test expects seven kinds of exception, and plugins raise more (struct.error, KeyError...).
    except Exception as error:
        assert name is not None  # `_accepted` raises refusals only
        return Decoded(None, *_explained(name, data, error))


def _accepted(data: bytes, max_bytes: int) -> str:
    """Return the name of the format; reads the first bytes only."""
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
    """Decode the first frame, and turn it as its EXIF orientation says."""
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
        # TIFF: turned by its plugin. Others than JPEG: read only now, since PNG may have it behind the pixels.
        block = {"JPEG": exif, "TIFF": b""}.get(name, image.info.get("exif", b""))
        # Without Adobe's block the values of a CMYK JPEG are as the standard says; Pillow inverts them always.
        inverted = name == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info
        eight_bit = resize.eight_bit(ImageChops.invert(image) if inverted else image)
        return resize.square(eight_bit, size, extent, formats.orientation(block))


def _open(name: str, data: bytes) -> ImageFile.ImageFile:
    try:
        return _OPENERS[name](io.BytesIO(data))
    except SyntaxError:
        if name != "AVIF":
            raise
        # Pillow refuses an AVIF file for a broken EXIF block. The name of an item no reader knows hides it.
        return _OPENERS[name](io.BytesIO(data.replace(b"Exif", b"none")))


def _check_size(image: ImageFile.ImageFile, max_pixels: int) -> None:
    if image.width * image.height > max_pixels or max(image.size) > MAX_SIDE:
        raise _RefusedError(
            Status.IMAGE_TOO_LARGE,
            f"{image.width} x {image.height} pixels, at most {max_pixels} and {MAX_SIDE} a side are accepted",
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tile = image.tag_v2.get(322, 0), image.tag_v2.get(323, 0)
        if tile[0] * tile[1] > max_pixels:  # libtiff takes the memory of a whole tile, however small the picture
            raise _RefusedError(Status.IMAGE_TOO_LARGE, f"a TIFF of tiles of {tile[0]} x {tile[1]} pixels")


def _explained(name: str, data: bytes, error: Exception) -> tuple[Status, str]:
    """Return the status and a text of our own: Pillow's messages may quote the file."""
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
    """Ignore Pillow's warnings about odd files, which name no row and become exceptions under `-W error`.

    Python's warning filters belong to the process: the first of several decoding threads sets them, the last restores.
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
