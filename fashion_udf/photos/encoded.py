"""Decode a photo that is written as text, in the forms that exports of databases and shops use."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from fashion_udf.photos import formats

_DATA_URI = re.compile(rb"data:[^,]{0,200},", re.IGNORECASE)
_HEX = re.compile(rb"(?:\\x|0x|x')?((?:[0-9a-f]{2})+)'?", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
#: Texts that programs write for a missing photo.
_NOTHING = ("", "nan", "null", "none", "<na>", "n/a", "nat", "nil", "undefined", "\\n", "#n/a")
_BLANKS = " \t\r\n\u00a0\ufeff"  # includes the no-break space of spreadsheets


def photo_bytes(cell: bytes) -> bytes:
    """Return the photo in a cell. A cell without text, or with another text, is returned unchanged.

    Accepted are base64 (with line ends, URL-safe, without padding), `data:` URIs, and hexadecimal, as from PostgreSQL
    (`\\x`); each also in quotation marks, or as Python prints bytes.
    """
    # A photo in binary form has non-ASCII bytes or an early zero byte, so this check is fast.
    if not cell.isascii() or b"\0" in cell[:64]:
        return cell
    text = cell.strip().removeprefix(b"b'").strip(b"'\"")
    if found := _DATA_URI.match(text):
        body = unquote_to_bytes(text[found.end() :])
        return (_from_base64(body) if b";base64" in found[0].lower() else body) or cell
    if found := _HEX.fullmatch(text):
        return binascii.unhexlify(found[1])
    return _from_base64(text) or cell


def is_nothing(cell: bytes) -> bool:
    """Return whether a cell is empty, blank, or has a text for a missing photo."""
    return len(cell) < 40 and cell.decode("utf-8", "replace").strip(_BLANKS).lower() in _NOTHING


def is_photo(cell: bytes) -> bool:
    """Return whether a cell has a photo, and not the name of one."""
    return formats.sniff(photo_bytes(cell)) is not None


def _from_base64(text: bytes) -> bytes | None:
    packed = b"".join(text.split()).replace(b"\\/", b"/").replace(b"\\n", b"").replace(b"\\r", b"")
    packed = packed.translate(_URL_SAFE).rstrip(b"=")
    if not packed:
        return None
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        return None
