"""Tables of forms, parents, attributes and novelty, as an evaluation and a model card show them."""

from __future__ import annotations

from typing import Any

from tests.evaluation_figures import figures, measured
from training.evaluation import measured_tables
from training.evaluation.table import Table


def _table(title: str, **changed: Any) -> Table:
    return next(table for table in measured_tables.tables(figures(**changed)) if table.title == title)


def test_every_form_has_its_accuracy_interval_error_and_decisions() -> None:
    assert _table("Robustness").rows == [
        ["photo alone", "8", "0.5000", "(0.2500 to 0.7500)", "0.0100", "0.0000", "-"],
        ["photo and text, title alone", "8", "0.5000", "(0.2500 to 0.7500)", "0.0100", "0.0000", "-"],
        ["photo and text, html", "8", "0.3750", "(0.2500 to 0.7500)", "0.0100", "0.0000", "-"],
        ["text alone, title alone", "8", "0.5000", "(0.2500 to 0.7500)", "0.0100", "0.5000", "0.9875"],
    ]
    assert _table("Parents").rows[0][:3] == ["photo alone", "8", "0.6250"]


def test_attributes_stand_beside_what_they_must_be_better_than() -> None:
    rows = _table("Attributes").rows
    assert [row[0] for row in rows] == [
        "gender, text alone",
        "gender, the most frequent value",
        "gender, TF-IDF + logistic regression",
    ]
    assert [row[2] for row in rows] == ["0.5000", "0.4375", "-"]
    assert {len(row) for row in rows} == {7}


def test_unknown_products_are_shown_where_there_are_some() -> None:
    (row,) = _table("Unknown products").rows
    assert row[:3] == ["text alone, other products", "4", "0.8750"] and row.count("-") == 5
    assert _table("Scores of novelty").rows[0] == ["probability of another kind", "0.9000"]
    titles = [table.title for table in measured_tables.tables(measured(novelty={"text": {}}, attributes={}))]
    assert titles == ["Robustness", "Parents"]
