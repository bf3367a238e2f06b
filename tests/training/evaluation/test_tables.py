"""Tables: the columns that others parse, numbers where there are some, and a word on what was left out."""

from __future__ import annotations

from typing import Any

from tests.evaluation_figures import figures
from training.evaluation import tables
from training.evaluation.measures import CategoryFigures
from training.evaluation.table import Table


def _table(title: str, **changed: Any) -> Table:
    return next(table for table in tables.tables(figures(**changed)) if table.title == title)


def test_the_first_line_names_the_columns() -> None:
    head, rule, row, *_ = tables.tables(figures())[0].as_text().splitlines()
    assert head.split() == (
        "modality rows accuracy precision recall F1 macro-P macro-R macro-F1 top-3 ECE auto auto-precision".split()
    )
    assert set(rule) == {"-", " "}
    assert row.split() == ("both 8 0.5000 0.2500 0.5000 0.1250 0.1000 0.2000 0.3000 0.7500 0.0100 0.0000 -".split())


def test_without_rows_every_other_figure_is_absent() -> None:
    assert _table("Frequent categories").rows[0] == ["both", "0", *["-"] * 11]


def test_published_figures_and_the_baseline_stand_beside_ours_with_their_intervals() -> None:
    table = _table("Beside the published figures and a baseline")
    assert [row[0] for row in table.rows] == [
        *("both", "both, published", "image", "image, published", "text", "text, published"),
        "TF-IDF + logistic regression",
    ]
    assert table.rows[0][1] == "0.5000 (0.2500 to 0.7500)"
    assert table.rows[1][1:] == ["0.9100", "0.9000", "0.9100", "0.9050"]
    assert table.note.endswith("The baseline reads only titles, with C = 10.")
    without = _table("Beside the published figures and a baseline", baseline=None)
    assert len(without.rows) == 6 and "baseline reads" not in without.note


def test_an_input_without_rows_has_no_figures_beside_the_published_ones() -> None:
    rows = _table("Beside the published figures and a baseline", as_given={}).rows
    assert rows[0] == ["both", "-", "-", "-", "-"]


def test_neighbours_are_shown_if_they_were_looked_at() -> None:
    assert _table("Similar products").rows == [
        ["same category", "0.9000"],
        ["same base colour", "0.4500"],
        ["score of the farthest", "0.7500"],
    ]
    assert "Similar products" not in [table.title for table in tables.tables(figures(neighbours=None))]


def test_more_titles_are_shown_if_there_were_some() -> None:
    titles = {"known": {"rows": 4.0, "accuracy": 0.75, "accuracy_interval": [0.5, 1.0]}, "parents": {}, "novelty": {}}
    rows = dict(_table("More titles, each alone", titles=titles).rows)
    assert rows["rows"] == "4" and rows["accuracy"] == "0.7500 (0.5000 to 1.0000)"
    assert rows["rows of unknown categories"] == "-"
    assert "More titles, each alone" not in [table.title for table in tables.tables(figures())]


def test_the_note_names_left_out_rows_and_a_foreign_split() -> None:
    data = {**figures()["data"], "split_of_the_model": False}
    note = _table("All rows", data=data, unknown_rows=3).note
    assert "Without 3 rows of categories that the model does not know." in note
    assert "trained on another split of products and may have seen these rows." in note
    assert "Without" not in _table("All rows").note and "another split" not in _table("All rows").note


def test_a_category_has_its_products_and_its_commonest_confusion() -> None:
    rows = [CategoryFigures("Belts", 4, 1.0, 0.75, 0.857, "Ties", 1), CategoryFigures("Ties", 1, 1.0, 1.0, 1.0, "", 0)]
    assert tables.by_category(rows, {"Belts": 31}).rows == [
        ["Belts", "31", "4", "1.0000", "0.7500", "0.8570", "Ties", "1"],
        ["Ties", "0", "1", "1.0000", "1.0000", "1.0000", "", ""],
    ]
