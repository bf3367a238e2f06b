"""The tables of an evaluation, made from its figures once and shown twice: as plain text and in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fashion_udf import console

from .measures import CALIBRATION_BINS, CategoryFigures

#: Accuracy, precision, recall and F1 (weighted) as published for this task.
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "both": {"accuracy": 0.91, "precision": 0.90, "recall": 0.91, "f1": 0.905},
    "image": {"accuracy": 0.85, "precision": 0.83, "recall": 0.84, "f1": 0.835},
    "text": {"accuracy": 0.87, "precision": 0.86, "recall": 0.86, "f1": 0.86},
}
BASELINE = "TF-IDF + logistic regression"

#: Figure -> the head of its column.
_WEIGHTED = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
_COLUMNS = {
    "rows": "rows",
    **_WEIGHTED,
    "macro_precision": "macro-P",
    "macro_recall": "macro-R",
    "macro_f1": "macro-F1",
    "top3": "top-3",
    "ece": "ECE",
    "auto_share": "auto",
    "auto_precision": "auto-precision",
}
_NONE = "-"


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; the first column is text, the others are numbers unless `words` names them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    words: Sequence[str] = ()

    def as_text(self) -> str:
        """Return aligned lines: the columns, a rule below them, the rows, the note."""
        first, *others = zip(self.columns, *self.rows, strict=True)
        # `console.table` moves numbers to the right. These cells are text: each figure has its own number of digits.
        padded = [[cell.rjust(max(map(len, column))) for cell in column] for column in others]
        head, *rows = zip(first, *padded, strict=True)
        return console.table(head, rows) + (f"{self.note}\n" if self.note else "")


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """Return every table of an evaluation but the one by category.

    Args:
        figures: as `training.evaluation.evaluate_bundle.evaluate` collects them.
    """
    frequent = figures["data"]["frequent_from"]
    made = [
        _figures("All rows", figures["all"], _all_note(figures["data"])),
        _figures(
            "Frequent categories",
            figures["frequent"],
            f"Rows of categories with at least {frequent} products in train, validation and test together.",
        ),
        _comparison(figures),
        _robustness(figures["robustness"]),
    ]
    return [*made, _neighbours(figures["neighbours"])] if figures["neighbours"] else made


def by_category(rows: Sequence[CategoryFigures], products: Mapping[str, int]) -> Table:
    """Return the table by category, with the products of each in the whole labelled set."""
    cells = [
        [
            row.category,
            str(products.get(row.category, 0)),
            str(row.rows),
            *(_cell(value) for value in (row.precision, row.recall, row.f1)),
            row.confusion,
            str(row.confused_rows or ""),
        ]
        for row in rows
    ]
    columns = ["category", "products", "rows", "precision", "recall", "F1", "commonest confusion", "confused rows"]
    return Table("By category", columns, cells, "With photo and text.", words=("commonest confusion",))


def _figures(title: str, by_modality: Mapping[str, Mapping[str, float]], note: str) -> Table:
    rows = [[name, *(_cell(row.get(key), key) for key in _COLUMNS)] for name, row in by_modality.items()]
    return Table(title, ["modality", *_COLUMNS.values()], rows, note)


def _all_note(data: Mapping[str, Any]) -> str:
    note = (
        f"The {data['split']} split. macro: the mean over categories. ECE: expected calibration error, in "
        f"{CALIBRATION_BINS} bins. auto: share of rows that the thresholds let pass without a person."
    )
    if unknown := data["unknown_category_rows"]:
        note += f" {unknown} rows of categories that the model does not know are left out."
    if not data["split_of_the_model"]:
        note += " The model was trained on another split of products: it may have seen these rows."
    return note


def _comparison(figures: Mapping[str, Any]) -> Table:
    rows = []
    for name, published in PUBLISHED.items():
        rows.append([name, *(_cell(figures["all"][name].get(key)) for key in _WEIGHTED)])
        rows.append([f"{name}, published", *(_cell(published[key]) for key in _WEIGHTED)])
    note = "Weighted by rows. The published figures were not measured on this split."
    if baseline := figures["baseline"]:
        rows.append([BASELINE, *(_cell(baseline["all"].get(key)) for key in _WEIGHTED)])
        note += f" The baseline reads titles alone, with C = {baseline['regularisation']:g}."
    return Table("Beside the published figures and a baseline", ["model", *_WEIGHTED.values()], rows, note)


def _robustness(figures: Mapping[str, Any]) -> Table:
    names = {
        "as_given": "as given",
        "photo_removed": "photo removed",
        "text_removed": "text removed",
        "category_words_removed": "category words removed from titles",
    }
    rows = []
    for key, name in names.items():
        both, text = figures[key]["both"], figures[key].get("text")
        rows.append([name, _cell(both), _cell(text), _NONE if text is None else f"{both - text:+.4f}"])
    changed = figures["category_words_removed"]["changed_titles"]
    note = f"Accuracy over all rows. {changed} titles held a word of a category name, in singular or plural."
    return Table("What the inputs carry", ["input", "both", "text", "both - text"], rows, note)


def _neighbours(figures: Mapping[str, Any]) -> Table:
    rows = [["all rows", _cell(figures["all"])], ["frequent categories", _cell(figures["frequent"])]]
    note = f"Share of a row's {figures['count']} nearest products of the train split, by cosine, in its own category."
    return Table("Similar products", ["rows", "same category"], rows, note)


def _cell(value: float | None, key: str = "") -> str:
    if value is None:
        return _NONE
    return f"{value:.0f}" if key == "rows" else f"{value:.4f}"
