"""A CSV file to records with their line numbers; a bad record is data, with a reason, and costs one line.

Spark's own reader gives no line numbers, and a quote that is never closed makes it swallow the rest of the file.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from gzip import GzipFile
from itertools import islice
from pathlib import Path
from typing import BinaryIO

#: Most lines that are searched for the end of a quoted field; no product text has so many.
MAX_RECORD_LINES = 100


@dataclass(frozen=True)
class Record:
    """One CSV record: its fields, or the reason why it has none."""

    line: int  # of the file, from 1
    raw: str
    fields: tuple[str, ...] = ()
    problem: str | None = None


def read(path: str | Path) -> Iterator[Record]:
    """Read a UTF-8 CSV file (RFC 4180), the header's record first; blank lines are skipped.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as binary:
        yield from decoded(binary)


def decoded(binary: BinaryIO | GzipFile) -> Iterator[Record]:
    """Read CSV from an open file, as `read` does."""
    # surrogateescape: one byte that is not UTF-8 must cost its record and not the file.
    yield from records(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline=""))


def records(lines: Iterable[str]) -> Iterator[Record]:
    """Split lines (with their ends) into records.

    A record with broken quoting has a `problem` and is only one line long. The next record starts at the next line, so
    one stray quote cannot swallow the good rows after it.
    """
    source, ahead, number = iter(lines), deque[str](), 1
    while True:
        if not ahead:
            ahead.extend(islice(source, 1))
        if not ahead:
            return
        size, fields, problem = 1, *_parse(ahead[0])
        while problem == _UNCLOSED and size < MAX_RECORD_LINES:
            if len(ahead) == size:
                ahead.extend(islice(source, 1))
            if len(ahead) == size:
                break
            size += 1
            fields, problem = _parse("".join(islice(ahead, size)))
        if problem is not None:
            problem, size = problem if size == 1 else _UNCLOSED, 1
        raw = "".join(ahead.popleft() for _ in range(size))
        if fields or problem is not None:
            yield _record(number, raw.rstrip("\r\n"), fields, problem)
        number += size


_UNCLOSED = "unclosed quote"


def _parse(text: str) -> tuple[tuple[str, ...], str | None]:
    try:
        # The reader takes quoted line ends within one string; splitting here would also split at U+2028.
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        return (), _UNCLOSED if "unexpected end of data" in str(error) else f"cannot be parsed: {error}"
    return tuple(rows[0]) if rows else (), None


def _record(line: int, raw: str, fields: tuple[str, ...], problem: str | None) -> Record:
    try:
        raw.encode("utf-8")
    except UnicodeEncodeError:
        readable = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Record(line, readable, (), "not UTF-8")
    return Record(line, raw, fields, problem)
