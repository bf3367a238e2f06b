"""A photo of a catalog, as bytes or by URI, to a small JPEG; each is decoded in a child process that may crash."""

from __future__ import annotations

import io
from collections.abc import Sequence

from fashion_udf.photos import encoded, fetch
from fashion_udf.photos.decode import MAX_BYTES, MAX_PIXELS
from fashion_udf.photos.sandbox import SandboxedDecoder

#: Of a JPEG: 96 pixels take about 3 kB.
QUALITY = 75
#: Seconds that one photo may take: what takes longer is no picture for a page.
SECONDS = 10.0


def jpeg(photo: bytes | str | None, size: int, decoder: SandboxedDecoder, roots: Sequence[str] = ()) -> bytes | None:
    """Return a photo as a square JPEG; None where there is none, or it cannot be had or decoded.

    Args:
        photo: its bytes, base64 or hexadecimal of these, or its URI.
        size: side of the square, in pixels.
        decoder: of photos.
        roots: directories that a local photo must lie in.
    """
    from PIL import Image

    if not photo:
        return None
    data = fetch.read(photo, roots, MAX_BYTES).data if isinstance(photo, str) else encoded.photo_bytes(bytes(photo))
    if not data:
        return None
    pixels = decoder.decode(data, size, MAX_BYTES, MAX_PIXELS).pixels
    if pixels is None:
        return None
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
