"""Inspect a photo's bytes before a decoder reads them: format, orientation, and whether a JPEG or PNG is truncated.

The first bytes decide the format, never a file name. This module reads a few dozen bytes and trusts none of them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

#: Formats of shops and phones. Excluded are formats whose decoder runs a program (EPS), documents (PDF, PSD), and
#: formats that catalogs do not use and whose parsers often fail (FLI, SGI, DDS, ICNS...). A phone's MPO is a JPEG with
#: more data after it.
ALLOWED_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}
#: Sizes of the header after a BMP's first 14 bytes. "BM" alone is not enough: a text may start with "BMW".
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
#: Marker, length and number of components, which must agree for libjpeg. The marker alone also occurs by chance in the
#: megabytes of video that phones append to a photo.
_JPEG_SCAN = re.compile(rb"\xff\xda\0(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_AVIF_BRANDS = (b"avif", b"avis")

_ORIENTATION = 274
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # TIFF types: byte, short, long
_MAX_VALUES = 100_000  # of one tag; a damaged tag must not use any amount of memory


def sniff(data: bytes) -> str | None:
    """Return one of `ALLOWED_FORMATS`, or None."""
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if data[4:8] == b"ftyp":
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        if any(brands[at : at + 4] in _AVIF_BRANDS for at in range(0, len(brands), 4)):
            return "AVIF"
    return None


def starts_a_photo(data: bytes) -> bool:
    """Return whether the data is so short that the mark of an allowed format may be truncated."""
    if len(data) >= 18:
        return False
    if any(magic.startswith(data) for magic in _MAGIC) or data[:2] == b"BM":
        return True
    return data[4:8] == b"ftyp" or (data[:4] == b"RIFF" and b"WEBP".startswith(data[8:12]))


def is_cut_short(name: str, data: bytes) -> bool:
    """Return whether a JPEG or PNG that could not be decoded is truncated; False for other formats.

    If pixels of a JPEG or PNG are missing, Pillow's message has "truncated". If the file ends earlier, in the blocks
    before the pixels, Pillow has other messages, so that this check is needed.
    """
    try:
        return _CUT_SHORT[name](data) if name in _CUT_SHORT else False
    except struct.error:  # the block with the length is truncated itself
        return True


def jpeg_parts(data: bytes) -> tuple[bytes, bytes]:
    """Return a JPEG without its metadata, and its EXIF block (b"" without one).

    Pillow reads EXIF, MPF, Photoshop and ICC blocks when it opens a file. Broken blocks would fail a good picture, and
    very many blocks would take seconds. The result has the parts for libjpeg: JFIF and Adobe (colour), tables, frame
    and scans.

    Raises:
        EOFError: the file ends before its first scan.
    """
    kept, exif, at = [data[:2]], b"", 2
    while True:
        at = data.find(b"\xff", at)  # libjpeg also skips other bytes between two markers
        if at < 0 or at + 4 > len(data):
            raise EOFError("no scan")
        marker = data[at + 1]
        if marker == 0xDA:
            return b"".join([*kept, data[at:]]), exif
        if marker == 0xFF:
            at += 1
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD9:  # markers without a body
            at += 2
        else:
            end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
            if marker == 0xE1 and not exif and data[at + 4 : at + 10] == b"Exif\0\0":
                exif = data[at + 10 : end]
            if not (0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE)):
                kept.append(data[at:end])
            at = end


def jpeg_scans(data: bytes) -> int:
    """Return the number of scans, with those of further pictures in the file."""
    return sum(1 for _ in _JPEG_SCAN.finditer(data))


def orientation(exif: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if the block is damaged or has another value."""
    try:
        value = _orientation(exif.removeprefix(b"Exif\0\0"))
    except struct.error:
        return 1
    return value if 1 <= value <= 8 else 1


def _orientation(tiff: bytes) -> int:
    """Return the first orientation in the first directory of a TIFF structure; 1 if there is none.

    Raises:
        struct.error: the structure ends early.
    """
    value = None
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for at in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
        if tag != _ORIENTATION or value is not None or kind not in _INTEGERS or not 0 < count <= _MAX_VALUES:
            continue
        layout = f"{order}{count}{_INTEGERS[kind]}"
        place = at + 8 if struct.calcsize(layout) <= 4 else struct.unpack_from(order + "I", tiff, at + 8)[0]
        value = int(struct.unpack_from(layout, tiff, place)[0])
    return 1 if value is None else value


def _jpeg_cut_short(data: bytes) -> bool:
    try:
        picture, _ = jpeg_parts(data)
    except EOFError:
        return True
    return b"\xff\xd9" not in picture  # the end marker, which cannot occur inside a scan


def _png_cut_short(data: bytes) -> bool:
    at = 8
    while data[at + 4 : at + 8] != b"IEND":
        at += 12 + int(struct.unpack_from(">I", data, at)[0])
    return False


_CUT_SHORT: dict[str, Callable[[bytes], bool]] = {"JPEG": _jpeg_cut_short, "PNG": _png_cut_short}
