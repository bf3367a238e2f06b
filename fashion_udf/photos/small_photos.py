"""Convert a photo of a catalog, given as bytes or URI, to a small JPEG. A child process decodes it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import FashionError
from fashion_udf.photos import encoded, fetch
from fashion_udf.photos.decode import MAX_BYTES, MAX_PIXELS
from fashion_udf.photos.photo import Remote
from fashion_udf.photos.sandbox import SandboxedDecoder

#: Quality of a JPEG: about 3 kB with 96 pixels.
QUALITY = 75
#: Maximum of seconds for a photo.
SECONDS = 10.0
_NOWHERE = Remote()


def jpeg(
    photo: bytes | str | None,
    size: int,
    decoder: SandboxedDecoder,
    roots: Sequence[str] = (),
    remote: Remote = _NOWHERE,
) -> bytes | None:
    """Return a photo as a square JPEG; None if there is none, or it cannot be read or decoded.

    Args:
        photo: its bytes, also as base64 or hexadecimal, or its URI.
        size: side of the square, in pixels.
        decoder: the decoder of photos.
        roots: directories that local photos must lie in.
        remote: settings of remote photos.
    """
    from PIL import Image

    square = pixels(content(photo, roots, remote), size, decoder)
    if square is None:
        return None
    file = io.BytesIO()
    Image.fromarray(square).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def pixels(data: bytes | None, size: int, decoder: SandboxedDecoder) -> NDArray[np.uint8] | None:
    """Return a photo as a square, uint8[size, size, 3]; None where there are no bytes, or they cannot be decoded."""
    return decoder.decode(data, size, MAX_BYTES, MAX_PIXELS).pixels if data else None


def content(photo: bytes | str | None, roots: Sequence[str] = (), remote: Remote = _NOWHERE) -> bytes | None:
    """Return the bytes of a photo, as `jpeg` takes it; None where there is none, or it cannot be had."""
    if not photo:
        return None
    if not isinstance(photo, str):
        return encoded.photo_bytes(bytes(photo))
    try:
        return fetch.read(photo, roots, MAX_BYTES, dataclasses.replace(remote, seconds=SECONDS)).data
    except FashionError:  # no credentials: the page has no picture, and that is all
        return None
