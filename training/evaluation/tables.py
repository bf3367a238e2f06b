"""The tables of an evaluation, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import measured_tables
from .measures import CALIBRATION_BINS, CategoryFigures
from .table import Table, cell, interval

#: Published accuracy, precision, recall and F1 (weighted) of this task.
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "both": {"accuracy": 0.91, "precision": 0.90, "recall": 0.91, "f1": 0.905},
    "image": {"accuracy": 0.85, "precision": 0.83, "recall": 0.84, "f1": 0.835},
    "text": {"accuracy": 0.87, "precision": 0.86, "recall": 0.86, "f1": 0.86},
}
BASELINE = "TF-IDF + logistic regression"

#: Figure -> the heading of its column.
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


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """Return all tables of an evaluation except the table by category.

    Args:
        figures: the figures of `training.evaluation.evaluate_bundle.evaluate`.
    """
    frequent = figures["data"]["frequent_from"]
    made = [
        _figures("All rows", figures["as_given"], _all_note(figures)),
        _figures(
            "Frequent categories",
            figures["frequent"],
            f"Rows of categories with at least {frequent} products in train, validation and test together.",
        ),
        _comparison(figures),
        *measured_tables.tables(figures),
    ]
    for name, table in [("neighbours", _neighbours), ("titles", _titles)]:
        if figures[name]:
            made.append(table(figures[name]))
    return made


def by_category(rows: Sequence[CategoryFigures], products: Mapping[str, int]) -> Table:
    """Return the table by category, with the products of each in the whole labelled set."""
    cells = [
        [
            row.category,
            str(products.get(row.category, 0)),
            str(row.rows),
            *(cell(value) for value in (row.precision, row.recall, row.f1)),
            row.confusion,
            str(row.confused_rows or ""),
        ]
        for row in rows
    ]
    columns = ["category", "products", "rows", "precision", "recall", "F1", "commonest confusion", "confused rows"]
    return Table("By category", columns, cells, "With photo and text.", words=("commonest confusion",))


def _figures(title: str, by_modality: Mapping[str, Mapping[str, float]], note: str) -> Table:
    rows = [[name, *(cell(row.get(key), key) for key in _COLUMNS)] for name, row in by_modality.items()]
    return Table(title, ["modality", *_COLUMNS.values()], rows, note)


def _all_note(figures: Mapping[str, Any]) -> str:
    data = figures["data"]
    note = (
        f"The {data['split']} split. macro: the mean over categories. ECE: expected calibration error, in "
        f"{CALIBRATION_BINS} bins. auto: share of rows with the decision auto."
    )
    if unknown := figures["unknown_rows"]:
        note += f" Without {unknown} rows of categories that the model does not know."
    if not data["split_of_the_model"]:
        note += " The model was trained on another split of products and may have seen these rows."
    return note


def _comparison(figures: Mapping[str, Any]) -> Table:
    rows = []
    for name, published in PUBLISHED.items():
        own = figures["as_given"].get(name, {})
        intervals = own.get("intervals", {})
        rows.append([name, *(f"{cell(own.get(key))}{interval(intervals.get(key), ' ')}" for key in _WEIGHTED)])
        rows.append([f"{name}, published", *(cell(published[key]) for key in _WEIGHTED)])
    note = "Weighted by rows, with 95 % bootstrap intervals. The published figures were not measured on this split."
    if baseline := figures["baseline"]:
        rows.append([BASELINE, *(cell(baseline.get(key)) for key in _WEIGHTED)])
        note += f" The baseline reads only titles, with C = {baseline['regularisation']:g}."
    return Table("Beside the published figures and a baseline", ["model", *_WEIGHTED.values()], rows, note)


def _neighbours(figures: Mapping[str, Any]) -> Table:
    names = [name for name in figures if name not in ("count", "last_score")]
    rows = [[f"same {name.replace('_', ' ')}", cell(figures[name])] for name in names]
    rows.append(["score of the farthest", cell(figures.get("last_score"))])
    note = (
        f"Means over a row's {figures['count']:.0f} nearest products of the train split, by cosine, without "
        "descriptions and without products of the same title."
    )
    return Table("Similar products", ["share or score", "mean"], rows, note)


def _titles(figures: Mapping[str, Any]) -> Table:
    known, novelty = figures["known"], figures["novelty"]
    accuracy = f"{cell(known.get('accuracy'))}{interval(known.get('accuracy_interval'), ' ')}"
    rows = [
        ["rows", cell(known.get("rows"), "rows")],
        ["accuracy", accuracy],
        *([name.replace("_", " "), cell(known.get(name))] for name in ("ece", "auto_share", "auto_precision")),
        ["parent accuracy", cell(figures["parents"].get("accuracy"))],
        ["rows of unknown categories", cell(novelty.get("unknown_rows"), "rows")],
        ["AUROC of novelty", cell(novelty.get("auroc"))],
        ["auto share of unknown categories", cell(novelty.get("auto_share_of_unknown"))],
    ]
    return Table("More titles, each alone", ["figure", "value"], rows)
