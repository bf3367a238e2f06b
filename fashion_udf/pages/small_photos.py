"""Convert a photo of a catalog, given as bytes or URI, to a small JPEG. A child process decodes it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence

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

    if not photo:
        return None
    data = _fetched(photo, roots, remote) if isinstance(photo, str) else encoded.photo_bytes(bytes(photo))
    if not data:
        return None
    pixels = decoder.decode(data, size, MAX_BYTES, MAX_PIXELS).pixels
    if pixels is None:
        return None
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _fetched(uri: str, roots: Sequence[str], remote: Remote) -> bytes | None:
    try:
        return fetch.read(uri, roots, MAX_BYTES, dataclasses.replace(remote, seconds=SECONDS)).data
    except FashionError:  # for example without credentials, the page has no picture
        return None
