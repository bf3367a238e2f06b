"""Tables: the columns that others parse, numbers where there are some, and a word on what was left out."""

from __future__ import annotations

from typing import Any

from tests.evaluation_figures import figures
from training.evaluation import tables
from training.evaluation.measures import CategoryFigures
from training.evaluation.tables import Table


def _table(title: str, **changed: Any) -> Table:
    return next(table for table in tables.tables(figures(**changed)) if table.title == title)


def test_the_first_line_names_the_columns() -> None:
    head, rule, row, *_ = tables.tables(figures())[0].as_text().splitlines()
    assert head.split() == (
        "modality rows accuracy precision recall F1 macro-P macro-R macro-F1 top-3 ECE auto auto-precision".split()
    )
    assert set(rule) == {"-", " "}
    assert row.split() == ("both 8 0.5000 0.2500 0.5000 0.1250 0.1000 0.2000 0.3000 0.7500 0.0100 0.0000 -".split())


def test_text_is_aligned_and_ends_with_the_note() -> None:
    table = Table("t", ["name", "n"], [["a", "1"], ["long name", "22"]], "Note.")
    assert table.as_text() == "name        n\n---------  --\na           1\nlong name  22\nNote.\n"


def test_a_name_from_a_catalog_reaches_no_terminal_as_a_command() -> None:
    assert "\x1b" not in Table("t", ["name", "n"], [["\x1b[2J", "1"]]).as_text()


def test_without_rows_every_other_figure_is_absent() -> None:
    assert _table("Frequent categories").rows[0] == ["both", "0", *["-"] * 11]


def test_published_figures_and_the_baseline_stand_beside_ours() -> None:
    table = _table("Beside the published figures and a baseline")
    assert [row[0] for row in table.rows] == [
        *("both", "both, published", "image", "image, published", "text", "text, published"),
        "TF-IDF + logistic regression",
    ]
    assert table.rows[1][1:] == ["0.9100", "0.9000", "0.9100", "0.9050"]
    assert table.note.endswith("The baseline reads titles alone, with C = 10.")
    without = _table("Beside the published figures and a baseline", baseline=None)
    assert len(without.rows) == 6 and "baseline reads" not in without.note


def test_what_the_photo_adds_is_the_difference_to_the_text_alone() -> None:
    rows = {row[0]: row[1:] for row in _table("What the inputs carry").rows}
    assert rows["as given"] == ["0.5000", "0.2500", "+0.2500"]
    assert rows["text removed"] == ["0.1250", "-", "-"]
    assert rows["category words removed from titles"] == ["0.2500", "0.5000", "-0.2500"]


def test_neighbours_are_shown_if_they_were_looked_at() -> None:
    assert _table("Similar products").rows == [["all rows", "0.9000"], ["frequent categories", "-"]]
    assert "Similar products" not in [table.title for table in tables.tables(figures(neighbours=None))]


def test_the_note_names_left_out_rows_and_a_foreign_split() -> None:
    data = {**figures()["data"], "unknown_category_rows": 3, "split_of_the_model": False}
    note = _table("All rows", data=data).note
    assert "3 rows of categories that the model does not know are left out." in note
    assert "trained on another split of products: it may have seen these rows." in note
    assert "left out" not in _table("All rows").note and "another split" not in _table("All rows").note


def test_a_category_has_its_products_and_its_commonest_confusion() -> None:
    rows = [CategoryFigures("Belts", 4, 1.0, 0.75, 0.857, "Ties", 1), CategoryFigures("Ties", 1, 1.0, 1.0, 1.0, "", 0)]
    assert tables.by_category(rows, {"Belts": 31}).rows == [
        ["Belts", "31", "4", "1.0000", "0.7500", "0.8570", "Ties", "1"],
        ["Ties", "0", "1", "1.0000", "1.0000", "1.0000", "", ""],
    ]
