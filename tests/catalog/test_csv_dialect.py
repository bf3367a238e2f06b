"""How a CSV file is written, found out as people write them; what cannot be told is refused with the setting."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest

from fashion_udf.catalog import csv_dialect, csv_records
from fashion_udf.catalog.csv_dialect import UndecidedError
from fashion_udf.config import Csv


def _rows(data: bytes, **settings: Any) -> list[tuple[str, ...]]:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield io.BytesIO(data)

    dialect, damaged = csv_dialect.sniff(opened, Csv(**settings))
    with opened() as binary:
        records = list(csv_records.decoded(binary, dialect, damaged))
    assert [record.problem for record in records if record.problem] == []
    return [record.fields for record in records[1:]]


HEADER = "sku;name;text\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sku,name,text\n1,a,\"x, y\"\n", ("1", "a", "x, y")),
        (HEADER + "1;Kleid, blau, lang;Größe, Farbe\n", ("1", "Kleid, blau, lang", "Größe, Farbe")),
        ("sku\tname\ttext\n1\tHat, red; blue\t\"two\nlines\"\n", ("1", "Hat, red; blue", "two\nlines")),
        ("sku\tname\ttext\n1\t\"Slim\" jeans\t5\" heel\n", ("1", '"Slim" jeans', '5" heel')),
        ("sku|name|text\n1|a, b|c\n", ("1", "a, b", "c")),
        ("sep=;\r\nsku;name;text\r\n1;a,b,c;d\r\n", ("1", "a,b,c", "d")),
        ("sep=,\nsku,name\n1,a;b\n", ("1", "a;b")),
        ('sku,name,text\n1,"5\\" heel, red","say \\"wool\\""\n', ("1", '5" heel, red', 'say "wool"')),
        ('sku,name,text\n1,"back\\slash, 5\\"","ends in \\\\"\n', ("1", 'back\\slash, 5"', "ends in \\")),
        ("product_id\n1\n", ("1",)),
    ],
)  # fmt: skip
def test_delimiter_quote_and_escape_are_found_out(text: str, expected: tuple[str, ...]) -> None:
    assert _rows(text.encode())[0] == expected


TEXT = HEADER + "1;Größe – Fußbälle;crème brûlée, 5 €\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_the_encoding_is_found_out_by_its_mark_or_by_what_the_text_is_then(encoding: str) -> None:
    assert _rows(TEXT.encode(encoding)) == [("1", "Größe – Fußbälle", "crème brûlée, 5 €")]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Красное платье"),
        ("cp1250", "Żółta łąka"),
        ("cp1253", "Φόρεμα"),
        ("shift_jis", "ドレス"),
        ("gbk", "连衣裙"),
    ],
)
def test_an_encoding_that_cannot_be_told_is_refused_until_it_is_given(encoding: str, text: str) -> None:
    data = (HEADER + f"1;{text};x\n").encode(encoding)
    with pytest.raises(UndecidedError, match=r"in an unknown encoding: set input\.csv\.encoding, such as cp1252"):
        _rows(data)
    assert _rows(data, encoding=encoding) == [("1", text, "x")]


def test_some_damaged_bytes_in_a_utf_8_file_cost_these_bytes() -> None:
    assert _rows(TEXT.encode() + b"2;caf\xe9;x\n")[1] == ("2", "caf\ufffd", "x")


def test_settings_go_before_what_the_file_looks_like() -> None:
    assert _rows(b"sku^name\n1^a\n", delimiter="^") == [("1", "a")]
    assert _rows(b"sku,name\n1,'a, b'\n", quote="'") == [("1", "a, b")]
    assert _rows(b'sku,name\n1,"5!" heel"\n', escape="!") == [("1", '5" heel')]
    assert _rows(b'sku,name\n1,"a\n', quote=None) == [("1", '"a')]
