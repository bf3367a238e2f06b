"""Detect how a CSV file is written: encoding, delimiter, quote and escape.

Python's `csv.Sniffer` detects no escape character and mistakes a comma in a text for a delimiter. So each likely
dialect parses the start of the file, as in DuckDB, and the dialect with the fewest bad records is chosen.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import product
from typing import BinaryIO

from fashion_udf.catalog import csv_records
from fashion_udf.catalog.csv_records import RFC_4180, Dialect
from fashion_udf.config import Csv

Opened = Callable[[], AbstractContextManager[BinaryIO]]

SAMPLE_CHARACTERS = 1_000_000
_CHUNK = 1 << 20
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16: this mark starts with that of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: Characters of a Western text beside À to ÿ: letters, quotation marks, dashes, currencies, fractions, units.
_WESTERN = frozenset("ŒœŠšŽžŸ‘’‚“”„–—…•€£¥¢©®™°±²³µ·¹º¼½¾×«»¿¡§ªˆ˜‹›\xa0\xad¨´")


class UndecidedError(Exception):
    """The dialect cannot be detected. The message names the setting that helps."""


def encoding_by_mark(head: bytes) -> str | None:
    """Return the encoding by the byte order mark of a text; None without a mark."""
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    even, odd = head[:200:2], head[1:200:2]
    if head and max(even.count(0), odd.count(0)) > len(head[:200]) // 4:
        return "utf-16-be" if even.count(0) > odd.count(0) else "utf-16-le"
    return None


def sniff(opened: Opened, settings: Csv) -> tuple[Dialect, bool]:
    """Detect the dialect of a file.

    Args:
        opened: opens the file, decompressed. The file is opened more than once.
        settings: the settings that are not `auto` are taken as they are.

    Returns:
        The dialect, and whether bytes that are invalid in its encoding become U+FFFD.

    Raises:
        UndecidedError: the encoding cannot be detected.
        UnpackError, OSError: the file cannot be read.
    """
    if settings.encoding == "auto":
        encoding, damaged = _encoding(opened)
    else:
        encoding, damaged = settings.encoding, True
    with opened() as binary:
        text = io.TextIOWrapper(binary, encoding=encoding, errors="replace", newline="").read(SAMPLE_CHARACTERS)
    known = replace(RFC_4180, encoding=encoding)
    lines = [*_lines(text)]
    if len(text) >= SAMPLE_CHARACTERS:
        lines = lines[:-1]
    return max(_candidates(lines, settings, known), key=lambda each: _score(lines, each)), damaged


def _lines(text: str) -> Iterator[str]:
    return iter(io.StringIO(text, newline=""))


def _candidates(lines: list[str], settings: Csv, known: Dialect) -> Iterator[Dialect]:
    """Yield the dialects to try, the most likely first: `max` keeps the first of equal candidates."""
    named = csv_records.sep_line(lines[0]) if lines else None
    delimiters = [named] if named else [",", ";", "\t", "|"]
    if settings.delimiter != "auto":
        delimiters = [settings.delimiter]
    quotes = ['"', None] if settings.quote == "auto" else [settings.quote]
    escapes = [None, "\\"] if settings.escape == "auto" else [settings.escape]
    for delimiter, quote, escape in product(delimiters, quotes, escapes):
        if quote is None and escape is not None:
            continue
        # Files without quotes have tabs or bars as delimiters.
        if quote is None and settings.quote == "auto" and delimiter in ",;":
            continue
        yield replace(known, delimiter=delimiter, quote=quote, escape=escape)


def _score(lines: list[str], dialect: Dialect) -> tuple[bool, float, int]:
    """Return whether there are several columns, the share of complete records, and the number of columns."""
    found = list(csv_records.records(lines, dialect))[:-1] if len(lines) > 1000 else csv_records.records(lines, dialect)
    widths = [len(record.fields) for record in found]
    if not widths:
        return False, 0.0, 0
    return widths[0] > 1, sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _encoding(opened: Opened) -> tuple[str, bool]:
    with opened() as binary:
        head = binary.read(_CHUNK)
        if by_mark := encoding_by_mark(head):
            return by_mark, by_mark != "utf-8-sig"
        decoder, others, utf_8 = codecs.getincrementaldecoder("utf-8")("surrogateescape"), list[str](), False
        while head:
            text = decoder.decode(head)
            if not text.isascii():
                odd = [line for line in text.splitlines() if not line.isascii()]
                bad = [line for line in odd if _is_damaged(line)]
                utf_8 = utf_8 or len(bad) < len(odd)
                others += bad[: 1000 - len(others)]
            head = binary.read(_CHUNK)
    if not others:
        return "utf-8-sig", False
    if utf_8:
        return "utf-8-sig", True
    if all(_is_western(line) for line in others):
        return "cp1252", False
    raise UndecidedError(
        "bytes that are not UTF-8, in an unknown encoding: set input.csv.encoding, such as cp1252, cp1250, "
        "cp1251, shift_jis or gb18030"
    )


def _is_damaged(line: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in line)


def _is_western(line: str) -> bool:
    """Return whether the bytes of a line, decoded as cp1252, look like a text of Western Europe."""
    try:
        text = line.encode("utf-8", "surrogateescape").decode("cp1252")
    except UnicodeDecodeError:
        return False
    odd = [character for character in text if not character.isascii()]
    if not all("À" <= character <= "ÿ" or character in _WESTERN for character in odd):
        return False
    # Greek, Cyrillic and Asian texts would give whole words of non-ASCII letters, Polish ones symbols between letters.
    runs = re.findall(r"[^\x00-\x7f]+", text)
    inside = re.findall(r"(?<=[^\W\d_])[^\w\s\x00-\x7f](?=[^\W\d_])", text)
    return max(map(len, runs), default=0) <= 3 and not set(inside) - set("’‘´·–—-\xad…®™")
