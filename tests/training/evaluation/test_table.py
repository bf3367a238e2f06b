"""A table as text and as Markdown."""

from __future__ import annotations

from training.evaluation.table import Table, cell, interval


def test_text_is_aligned_and_ends_with_the_note() -> None:
    table = Table("t", ["name", "n"], [["a", "1"], ["long name", "22"]], "Note.")
    assert table.as_text() == "name        n\n---------  --\na           1\nlong name  22\nNote.\n"


def test_a_name_from_a_catalog_reaches_no_terminal_as_a_command() -> None:
    assert "\x1b" not in Table("t", ["name", "n"], [["\x1b[2J", "1"]]).as_text()


def test_markdown_has_a_rule_below_the_head_and_the_note_after_a_blank_line() -> None:
    assert Table("t", ["a", "b"], [["1", "2"]], "Note.").as_markdown() == "| a | b |\n| --- | --- |\n| 1 | 2 |\n\nNote."
    assert Table("t", ["a"], []).as_markdown() == "| a |\n| --- |"


def test_absent_figures_are_a_dash_and_absent_intervals_nothing() -> None:
    assert [cell(None), cell(0.5), cell(8.0, "rows")] == ["-", "0.5000", "8"]
    assert interval(None, " ") == "" and interval([0.25, 0.5], " ") == " (0.2500 to 0.5000)"
