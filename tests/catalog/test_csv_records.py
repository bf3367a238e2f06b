"""CSV records: right ones as the csv module reads them, wrong ones told apart at the cost of one line each."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.catalog import csv_records
from fashion_udf.catalog.csv_records import Record

# A carriage return alone ends a line for csv.writer's readers, and a lone surrogate is no text.
_FIELD = st.text(st.characters(codec="utf-8"), max_size=8)


def _read(text: str | bytes) -> list[Record]:
    return list(csv_records.decoded(io.BytesIO(text.encode() if isinstance(text, str) else text)))


@given(st.lists(st.lists(_FIELD, min_size=2, max_size=4), max_size=6))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(rows)
    records = _read(written.getvalue())
    assert [list(record.fields) for record in records] == rows
    assert all(record.problem is None for record in records)


@given(st.lists(st.text(alphabet='ab,"\n\r', max_size=12), max_size=8))
def test_every_line_of_any_text_is_in_one_record(lines: list[str]) -> None:
    text = "\n".join(lines)
    records = _read(text)
    assert "".join(record.raw for record in records).replace("\r", "").replace("\n", "") == text.replace(
        "\r", ""
    ).replace("\n", "")
    assert [record.line for record in records] == sorted({record.line for record in records})


def test_quoted_commas_quotes_and_line_ends_belong_to_the_field() -> None:
    records = _read('id,title\r\n1,"a, ""b""\r\nc"\r\n2,d\r\n')
    assert [record.fields for record in records] == [("id", "title"), ("1", 'a, "b"\r\nc'), ("2", "d")]
    assert [record.line for record in records] == [1, 2, 4]


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    records = _read('id,title\n1,"15 inch\n2,good\n3,"also, good"\n')
    assert [(record.line, record.problem) for record in records if record.problem] == [(2, "unclosed quote")]
    assert [record.fields for record in records if not record.problem] == [
        ("id", "title"),
        ("2", "good"),
        ("3", "also, good"),
    ]


def test_a_field_may_have_any_size_and_any_number_of_lines() -> None:
    long, lines = "x" * 1_000_000, "<p>x, y</p>\n" * 20_000
    assert [record.fields for record in _read(f'1,{long}\n2,"{lines}"\n3,z\n')] == [
        ("1", long),
        ("2", lines),
        ("3", "z"),
    ]


def test_an_unclosed_quote_looks_ahead_a_bounded_number_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "MAX_RECORD_CHARACTERS", 100)
    inside = "x\n" * 40
    assert [record.problem for record in _read(f'"{inside}"\n')] == [None]
    assert _read(f'"{inside * 2}"\n')[0].problem == "unclosed quote"


def test_a_first_line_that_names_the_delimiter_is_no_record_and_counts_as_a_line() -> None:
    (record, *_) = csv_records.records(["sep=;\r\n", "a;b\r\n"], replace(csv_records.RFC_4180, delimiter=";"))
    assert (record.line, record.fields) == (2, ("a", "b"))


@given(st.lists(st.text(alphabet='ab,"\\\n', min_size=1, max_size=8), min_size=2, max_size=4))
def test_quotes_that_spark_escapes_are_read_back(fields: list[str]) -> None:
    # Spark escapes quotes, and what stands before the last one of a field.
    def written(field: str) -> str:
        ends = len(field) - len(field.rstrip("\\"))
        return '"' + re.sub(r'(\\*)"', r'\1\1\\"', field[: len(field) - ends]) + "\\" * (2 * ends) + '"'

    dialect = replace(csv_records.RFC_4180, escape="\\")
    text = ",".join(map(written, fields)) + "\n"
    (record,) = csv_records.records(io.StringIO(text, newline=""), dialect)
    assert list(record.fields) == fields


def test_text_after_a_closing_quote_is_a_problem() -> None:
    (record,) = _read('1,"a" b\n')
    assert record.problem == "cannot be parsed: ',' expected after '\"'"
    assert record.raw == '1,"a" b'


def test_bytes_that_are_not_utf_8_cost_their_record_only() -> None:
    first, second = _read(b"1,caf\xe9\n2,caf\xc3\xa9\n")
    assert (first.problem, first.raw) == ("not UTF-8", "1,caf\ufffd")
    assert second.fields == ("2", "café")


def test_a_byte_order_mark_and_blank_lines_are_skipped() -> None:
    assert [record.fields for record in _read("\ufeffid,title\n\n1,a\n\n")] == [("id", "title"), ("1", "a")]


def test_a_line_separator_inside_a_field_is_text() -> None:
    assert _read("1,a\u2028b\x0cc\n")[0].fields == ("1", "a\u2028b\x0cc")


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "ж 1.csv").write_text("a,b\n", encoding="utf-8")
    assert [record.fields for record in csv_records.read(tmp_path / "ж 1.csv")] == [("a", "b")]
    with pytest.raises(FileNotFoundError):
        list(csv_records.read(tmp_path / "nowhere"))
