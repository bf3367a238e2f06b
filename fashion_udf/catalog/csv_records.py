"""Parse a CSV file into records with line numbers. A bad record has a reason, and spans one line.

Spark's own reader gives no line numbers, and an unclosed quote makes it read the rest of the file as one field.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from gzip import GzipFile
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

#: Maximum of characters that are searched for the end of a quoted field. They are in memory, 5 bytes each.
MAX_RECORD_CHARACTERS = 32_000_000

# Excel reads the delimiter from a first line such as "sep=;".
_SEP_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE | re.DOTALL)
_UNCLOSED = "unclosed quote"


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written. The default is RFC 4180 in UTF-8."""

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None  # the character before a quote inside a field, as Spark and MySQL write it
    encoding: str = "utf-8-sig"


RFC_4180 = Dialect()


@dataclass(frozen=True)
class Record:
    """A CSV record: its fields, or the reason why they cannot be read."""

    line: int  # number of its first line in the file, from 1
    raw: str
    fields: tuple[str, ...] = ()
    problem: str | None = None


def read(path: str | Path) -> Iterator[Record]:
    """Read a UTF-8 CSV file (RFC 4180). The header is the first record; blank lines are skipped.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as binary:
        yield from decoded(binary)


def decoded(binary: BinaryIO | GzipFile, dialect: Dialect = RFC_4180, replace: bool = False) -> Iterator[Record]:
    """Read CSV from an open file, as `read` does. With `replace`, invalid bytes become U+FFFD."""
    # surrogateescape: an invalid byte must make one record bad, not the file.
    errors = "replace" if replace else "surrogateescape"
    yield from records(io.TextIOWrapper(binary, encoding=dialect.encoding, errors=errors, newline=""), dialect)


def records(lines: Iterable[str], dialect: Dialect = RFC_4180) -> Iterator[Record]:
    """Split lines (with their line ends) into records.

    A record with broken quoting has a `problem` and spans one line. The next record starts at the next line, so that
    one wrong quote does not affect the rows after it.
    """
    source, ahead, number = iter(lines), deque[str](), 1
    while True:
        if not ahead:
            ahead.extend(islice(source, 1))
        if not ahead:
            return
        if number == 1 and _SEP_LINE.fullmatch(ahead[0]):
            ahead.clear()
            number = 2
            continue
        taken, fields, problem = _parse(chain(_popped(ahead), source), dialect)
        if problem is not None:
            ahead.extendleft(reversed(taken[1:]))
            problem, taken = problem if len(taken) == 1 else _UNCLOSED, taken[:1]
        if fields or problem is not None:
            yield _record(number, "".join(taken).rstrip("\r\n"), fields, problem)
        number += len(taken)


def sep_line(line: str) -> str | None:
    """Return the delimiter of a first line such as `sep=;`; None for any other line."""
    found = _SEP_LINE.fullmatch(line)
    return found[1] if found else None


def _popped(lines: deque[str]) -> Iterator[str]:
    while lines:
        yield lines.popleft()


def _parse(lines: Iterator[str], dialect: Dialect) -> tuple[list[str], tuple[str, ...], str | None]:
    """Parse one record. Return the lines that were read, the fields, and the problem or None."""
    taken: list[str] = []
    characters = 0

    def following() -> Iterator[str]:
        nonlocal characters
        for line in lines:
            taken.append(line)
            characters += len(line)
            yield _doubled(line, dialect)
            if characters > MAX_RECORD_CHARACTERS:
                return

    csv.field_size_limit(2**31 - 1)  # the default of 131,072 characters is too small for a photo
    try:
        if dialect.quote is None:
            reader = csv.reader(following(), strict=True, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)
        else:
            reader = csv.reader(following(), strict=True, delimiter=dialect.delimiter, quotechar=dialect.quote)
        return taken, tuple(next(reader, ())), None
    except csv.Error as error:
        return taken, (), _UNCLOSED if "unexpected end of data" in str(error) else f"cannot be parsed: {error}"


def _doubled(line: str, dialect: Dialect) -> str:
    """Replace escaped quotes of a line by doubled ones: the csv module would unescape every other character too."""
    if dialect.escape is None or dialect.quote is None or dialect.escape not in line:
        return line
    escape, quote = dialect.escape, dialect.quote

    def written(match: re.Match[str]) -> str:
        escapes = len(match[1]) // len(escape)
        return escape * (escapes // 2) + quote * (1 + escapes % 2)

    return re.sub(f"((?:{re.escape(escape)})+){re.escape(quote)}", written, line)


def _record(line: int, raw: str, fields: tuple[str, ...], problem: str | None) -> Record:
    try:
        raw.encode("utf-8")
    except UnicodeEncodeError:
        readable = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Record(line, readable, (), "not UTF-8")
    return Record(line, raw, fields, problem)
