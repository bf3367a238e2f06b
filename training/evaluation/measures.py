"""Figures of a classifier on labelled rows: pure functions of arrays.

Labels are indexes of categories and never negative. The predicted category has the highest score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from .decided import Answer

CALIBRATION_BINS = 15  # as in Guo et al. 2017


@dataclass(frozen=True)
class Bin:
    """Rows whose confidence is in one bin."""

    rows: int
    confidence: float  # mean
    accuracy: float


@dataclass(frozen=True)
class CategoryFigures:
    """Figures of a category."""

    category: str
    rows: int
    precision: float
    recall: float
    f1: float
    confusion: str  # the most frequent wrong prediction; "" if no row is wrong
    confused_rows: int  # number of rows with that prediction


def classification(labels: NDArray[np.int32], scores: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Return accuracy, top-3 accuracy, and precision, recall and F1, weighted by rows and as means (macro).

    Macro figures are means over the categories with rows, because a category without rows has no recall. Without any
    row, the number of rows is the only figure.

    Args:
        labels: int32[n].
        scores: [n, K], logits or probabilities.
    """
    figures = {"rows": float(len(labels))}
    if len(labels) == 0:
        return figures
    predicted = scores.argmax(axis=1)
    figures["accuracy"] = float(accuracy_score(labels, predicted))
    for average, prefix in (("weighted", ""), ("macro", "macro_")):
        means = precision_recall_fscore_support(
            labels, predicted, labels=np.unique(labels), average=average, zero_division=0.0
        )
        for name, value in zip(("precision", "recall", "f1"), means, strict=False):
            figures[prefix + name] = float(value)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    figures["top3"] = float((best == labels[:, None]).any(axis=1).mean())
    return figures


def reliability(
    confidence: NDArray[np.float64], hits: NDArray[np.bool_], bins: int = CALIBRATION_BINS
) -> list[Bin | None]:
    """Return accuracy and mean confidence in bins of equal width; None for an empty bin.

    A confidence on a border belongs to the lower bin, as in Guo et al. 2017.
    """
    at = _bin_of(confidence, bins)
    members = [at == number for number in range(bins)]
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(hits[inside].mean())) if inside.any() else None
        for inside in members
    ]


def _bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.int64)
    return found


def calibration_error(
    confidence: NDArray[np.float64],
    hits: NDArray[np.bool_],
    bins: int = CALIBRATION_BINS,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Return the expected calibration error: the mean over rows of a bin's |accuracy - mean confidence|.

    Args:
        confidence: float64[n].
        hits: bool[n].
        bins: number of bins of equal width.
        weights: float64[n], weights of the rows. None means equal weights.
    """
    weights = np.ones(len(confidence)) if weights is None else weights
    gaps = np.bincount(_bin_of(confidence, bins), weights * (hits - confidence), minlength=bins)
    return float(np.abs(gaps).sum() / max(weights.sum(), np.finfo(float).tiny))


def answers(answer: Answer) -> dict[str, float]:
    """Return the calibration error of answers, the share of `auto`, and the precision of `auto`.

    The precision is absent if no row is `auto`. Without any row, every figure is absent.
    """
    if not len(answer.labels):
        return {}
    hits, auto = answer.hits, answer.auto
    figures = {"ece": calibration_error(answer.confidence, hits), "auto_share": float(auto.mean())}
    return figures | ({"auto_precision": float(hits[auto].mean())} if auto.any() else {})


def confusion_matrix(labels: NDArray[np.int32], predicted: NDArray[np.int64], categories: int) -> NDArray[np.int64]:
    """Return int64[K, K]: number of rows by label (first axis) and predicted category (second axis)."""
    cells = labels.astype(np.int64) * categories + predicted
    return np.bincount(cells, minlength=categories**2).reshape(categories, categories)


def by_category(confusion: NDArray[np.int64], names: Sequence[str]) -> list[CategoryFigures]:
    """Return the figures of every category that has rows, in the order of `names`."""
    figures = []
    for index in np.flatnonzero(confusion.sum(axis=1)).tolist():
        hits, rows = int(confusion[index, index]), int(confusion[index].sum())
        predicted = int(confusion[:, index].sum())
        wrong = confusion[index].copy()
        wrong[index] = 0
        most = int(wrong.argmax())
        figures.append(
            CategoryFigures(
                category=names[index],
                rows=rows,
                precision=hits / predicted if predicted else 0.0,
                recall=hits / rows,
                f1=2 * hits / (predicted + rows),
                confusion=names[most] if wrong[most] else "",
                confused_rows=int(wrong[most]),
            )
        )
    return figures
