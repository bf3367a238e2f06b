"""Broken photos, as in real catalogs: truncated, with a wrong type, malicious, or only unusual."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

#: Kinds of `odd_photos` that a decoder must refuse. The others are valid pictures in unusual files.
UNREADABLE = (
    "empty",
    "jpeg-cut-after-2-bytes",
    "jpeg-cut-in-header",
    "jpeg-cut-at-quarter",
    "jpeg-cut-at-half",
    "jpeg-cut-near-end",
    "jpeg-scan-overwritten",
    "png-cut-at-half",
    "png-checksum-wrong",
    "png-bomb-40000x40000",
    "gif-cut-in-header",
    "webp-cut-at-half",
    "html",
    "svg",
    "plain-text",
    "pdf",
    "zip",
    "eps",
    "zeros",
)


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    """Encode as a baseline JPEG."""
    return encoded(image, "JPEG", quality=quality)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode in any format that Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def odd_photos(image: Image.Image) -> dict[str, bytes]:
    """Return kind -> photo bytes, all made from one RGB picture. The same picture gives the same bytes."""
    return {**_cut_and_altered(image), **_not_photos(), **_unusual(image)}


def _cut_and_altered(image: Image.Image) -> dict[str, bytes]:
    whole, png, webp = jpeg(image), encoded(image, "PNG"), encoded(image, "WEBP")
    scan = whole.index(b"\xff\xda") + 14  # the start-of-scan marker and its header
    checksum = bytearray(png)
    checksum[29] ^= 0xFF  # in the CRC of IHDR: 8 bytes of signature, 8 of chunk head, 13 of data
    return {
        "empty": b"",
        "jpeg-cut-after-2-bytes": whole[:2],
        "jpeg-cut-in-header": whole[:100],
        "jpeg-cut-at-quarter": whole[: len(whole) // 4],
        "jpeg-cut-at-half": whole[: len(whole) // 2],
        "jpeg-cut-near-end": whole[: len(whole) * 9 // 10],
        # 0xFFC4 announces a Huffman table, but other bytes follow.
        "jpeg-scan-overwritten": whole[: scan + 200] + b"\xff\xc4\x00\x20" + b"\xee" * 200 + whole[scan + 404 :],
        "png-cut-at-half": png[: len(png) // 2],
        "png-checksum-wrong": bytes(checksum),
        "png-bomb-40000x40000": _png_header(40_000, 40_000),
        "gif-cut-in-header": encoded(image, "GIF")[:12],
        "webp-cut-at-half": webp[: len(webp) // 2],
    }


def _not_photos() -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("photo.jpg"), b"not a photo either")  # a ZipInfo's date is fixed: 1980
    return {
        "html": b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>No such photo</body></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
        "plain-text": b"photo follows by e-mail, sorry for the delay\n",
        "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        "zip": archive.getvalue(),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n0 0 9 9 rectfill\nshowpage\n%%EOF\n",
        "zeros": bytes(4096),
    }


def _unusual(image: Image.Image) -> dict[str, bytes]:
    grey = image.convert("L")
    cutout = image.convert("RGBA")
    cutout.putalpha(grey.point(lambda value: 0 if value > 240 else 255))
    frames = [image.rotate(angle, fillcolor="white") for angle in (0, 4, 8)]
    # The picture is stored rotated; the tag tells viewers to rotate it by 90 degrees clockwise.
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "jpeg-cmyk": jpeg(image.convert("CMYK")),
        "jpeg-grey": jpeg(grey),
        "jpeg-progressive": encoded(image, "JPEG", progressive=True),
        "jpeg-exif-rotated": encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=88, exif=exif),
        "jpeg-wide": jpeg(image.resize((3000, 12))),
        "jpeg-tall": jpeg(image.resize((12, 3000))),
        "png-16-bit": encoded(Image.fromarray(np.asarray(grey, np.uint16) * np.uint16(257)), "PNG"),
        "png-transparent": encoded(cutout, "PNG"),
        "png-palette": encoded(image.quantize(64), "PNG"),
        "png-1x1": encoded(image.resize((1, 1)), "PNG"),
        "gif-animated": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0),
        "webp": encoded(image, "WEBP", quality=80),
        "bmp": encoded(image, "BMP"),
        "tiff": encoded(image, "TIFF", compression="tiff_lzw"),
    }


def _png_header(width: int, height: int) -> bytes:
    """Return a PNG of less than 100 bytes that declares any size."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(16))),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
