"""Tables of the figures of `training.evaluation.figures.measure`, for an evaluation and for a model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fashion_udf.schema import Modality

from .figures import NO_TEXT
from .table import Table, cell, interval

_INPUTS = {
    Modality.BOTH.value: "photo and text",
    Modality.TEXT.value: "text alone",
    Modality.IMAGE.value: "photo alone",
}
_JUDGED = {"ece": "ECE", "auto_share": "auto", "auto_precision": "auto-precision"}
_NOVELTY = {
    "auroc": "AUROC",
    "novel_share_of_known": "known, novel",
    "novel_share_of_unknown": "unknown, novel",
    "auto_share_of_unknown": "unknown, auto",
    "parent_auto_share_of_unknown": "unknown, parent auto",
    "median_confidence_of_unknown": "unknown, median confidence",
    "mixture_ece": "ECE of a mixture",
}


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """Return the tables of forms, parents, attributes and novelty, if there are figures for them."""
    made = [
        _by_form("Robustness", figures["forms"], "The same rows with other forms of the text. " + _INTERVAL),
        _by_form("Parents", figures["parents"], "The family of the category. " + _INTERVAL),
    ]
    if figures["attributes"]:
        made.append(_attributes(figures["attributes"], figures.get("attribute_baselines") or {}))
    if any(figures["novelty"].values()):
        made.append(_novelty(figures["novelty"]))
    if figures.get("novelty_scores"):
        made.append(_scores(figures["novelty_scores"]))
    return made


_INTERVAL = "Intervals of accuracy: 95 % bootstrap."


def _by_form(title: str, by_modality: Mapping[str, Mapping[str, Mapping[str, Any]]], note: str) -> Table:
    rows = [
        [_INPUTS[modality] + ("" if form == NO_TEXT else f", {form.replace('_', ' ')}"), *_judged(judged)]
        for modality, forms in by_modality.items()
        for form, judged in forms.items()
    ]
    return Table(title, ["input", "rows", "accuracy", "interval", *_JUDGED.values()], rows, note)


def _judged(figures: Mapping[str, Any]) -> list[str]:
    numbers = [cell(figures.get("rows"), "rows"), cell(figures.get("accuracy"))]
    return [*numbers, interval(figures.get("accuracy_interval")) or "-", *(cell(figures.get(key)) for key in _JUDGED)]


def _attributes(
    by_name: Mapping[str, Mapping[str, Mapping[str, Any]]], baselines: Mapping[str, Mapping[str, float | None]]
) -> Table:
    rows = []
    for name, by_modality in by_name.items():
        rows += [[f"{name}, {_INPUTS[modality]}", *_judged(judged)] for modality, judged in by_modality.items()]
        for kind, shown in (("most_frequent", "the most frequent value"), ("titles", "TF-IDF + logistic regression")):
            if kind in baselines.get(name, {}):
                rows.append([f"{name}, {shown}", "-", cell(baselines[name][kind]), *["-"] * (1 + len(_JUDGED))])
    note = f"Without descriptions, on rows whose value is known. {_INTERVAL}"
    return Table("Attributes", ["attribute and input", "rows", "accuracy", "interval", *_JUDGED.values()], rows, note)


def _novelty(by_modality: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    rows = [
        [f"{_INPUTS[modality]}, {kind.replace('_', ' ')}", cell(found["unknown_rows"], "rows")]
        + [cell(found.get(key)) for key in _NOVELTY]
        for modality, kinds in by_modality.items()
        for kind, found in kinds.items()
    ]
    note = (
        "AUROC: the probability that an unknown product has more novelty than a known one. ECE of a mixture: of 90 % "
        "known and 10 % unknown products. Titles alone."
    )
    return Table("Unknown products", ["input and kind", "rows", *_NOVELTY.values()], rows, note)


def _scores(by_kind: Mapping[str, Mapping[str, float]]) -> Table:
    names = list(dict.fromkeys(name for scores in by_kind.values() for name in scores))
    rows = [[name, *(cell(scores.get(name)) for scores in by_kind.values())] for name in names]
    return Table("Scores of novelty", ["score", *by_kind], rows, "AUROC. The first score is the one that is published.")
