"""Figures of a classifier on labelled rows: pure functions of arrays.

Labels are indexes of categories, never negative; the predicted category is the one of the largest score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from fashion_udf.model.engines.prediction import calibrated

CALIBRATION_BINS = 15  # as in Guo et al. 2017
_CHUNK = 512  # rows whose similarities are held at once


@dataclass(frozen=True)
class Bin:
    """Rows whose confidence lies within two borders."""

    rows: int
    confidence: float  # mean
    accuracy: float


@dataclass(frozen=True)
class CategoryFigures:
    """Figures of the rows of one category."""

    category: str
    rows: int
    precision: float
    recall: float
    f1: float
    confusion: str  # the category that its wrong rows get most often; "" if no row is wrong
    confused_rows: int  # wrong rows that get the category `confusion`


def classification(labels: NDArray[np.int32], scores: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Return accuracy, top-3 accuracy, and precision, recall and F1, weighted by rows and as plain means (macro).

    Macro figures are means over the categories that have rows: a category without rows has no recall. If there is no
    row at all, the number of rows is the only figure.

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


def calibrated_classification(
    labels: NDArray[np.int32], logits: NDArray[np.float32], temperature: float, auto: float
) -> dict[str, float]:
    """Return `classification`, the calibration error (ece), and the decisions of a threshold on confidence."""
    figures = classification(labels, logits)
    if len(labels):
        sure = confidences(labels, logits, temperature)
        figures |= {"ece": calibration_error(*sure), **decisions(*sure, auto)}
    return figures


def confidences(
    labels: NDArray[np.int32], logits: NDArray[np.float32], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the calibrated confidence float64[n] of the predicted category, and whether that is the label."""
    probabilities = calibrated(logits, temperature)
    return probabilities.max(axis=1).astype(np.float64), logits.argmax(axis=1) == labels


def reliability(
    confidence: NDArray[np.float64], hits: NDArray[np.bool_], bins: int = CALIBRATION_BINS
) -> list[Bin | None]:
    """Return accuracy and mean confidence in bins of equal width; None where no row falls into a bin.

    A confidence on a border belongs to the bin below it, as in Guo et al. 2017.
    """
    at = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int)
    members = [at == number for number in range(bins)]
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(hits[inside].mean())) if inside.any() else None
        for inside in members
    ]


def calibration_error(confidence: NDArray[np.float64], hits: NDArray[np.bool_], bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error: the mean over rows of a bin's |accuracy - mean confidence|."""
    filled = [part for part in reliability(confidence, hits, bins) if part is not None]
    return sum(part.rows * abs(part.accuracy - part.confidence) for part in filled) / max(1, len(confidence))


def decisions(confidence: NDArray[np.float64], hits: NDArray[np.bool_], auto: float) -> dict[str, float]:
    """Return the share of the rows that are `auto`, and their precision, which is absent where no row is `auto`.

    Args:
        confidence: float64[n], at least one row.
        hits: bool[n], whether the predicted category is the label.
        auto: confidence from which a row is `auto`.
    """
    taken = confidence >= auto
    figures = {"auto_share": float(taken.mean())}
    if taken.any():
        figures["auto_precision"] = float(hits[taken].mean())
    return figures


def confusion_matrix(labels: NDArray[np.int32], predicted: NDArray[np.int64], categories: int) -> NDArray[np.int64]:
    """Return int64[K, K]: rows of a label (first axis) that got a category (second axis)."""
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


def neighbours_of_category(
    queries: NDArray[np.float32],
    labels: NDArray[np.int32],
    references: NDArray[np.float32],
    reference_labels: NDArray[np.int32],
    count: int,
    own: bool = False,
) -> NDArray[np.float64]:
    """Return, for each query, the share of its nearest references by cosine that have its label.

    Args:
        queries: float32[n, d], unit length.
        labels: int32[n].
        references: float32[m, d], unit length.
        reference_labels: int32[m].
        count: how many neighbours; at most all references.
        own: the references are the queries themselves, in their order: no row is its own neighbour.
    """
    shares = [np.zeros(0)]
    for start in range(0, len(queries), _CHUNK):
        similarity = queries[start : start + _CHUNK] @ references.T
        if own:
            rows = np.arange(len(similarity))
            similarity[rows, start + rows] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(count, len(references) - own)]
        same = reference_labels[nearest] == labels[start : start + _CHUNK, None]
        shares.append(same.mean(axis=1))
    return np.concatenate(shares)
