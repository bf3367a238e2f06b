"""Bootstrap intervals: how much a figure would change with another sample of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
LEVEL = 0.95
_SEED = 0
_CHUNK = 100  # draws that are in memory at a time


def classification(labels: NDArray[np.int32], predicted: NDArray[np.int64]) -> dict[str, tuple[float, float]]:
    """Return the intervals of accuracy, and of precision, recall and F1 weighted by rows, by the percentile bootstrap.

    Rows are drawn with replacement. The same rows give the same intervals.

    Args:
        labels: int32[n], at least one row.
        predicted: int64[n].
    """
    categories = int(max(labels.max(), predicted.max())) + 1
    actual, answered = np.eye(categories, dtype=np.float32)[labels], np.eye(categories, dtype=np.float32)[predicted]
    right = actual * answered
    rng, rows = np.random.default_rng(_SEED), len(labels)
    figures: dict[str, list[NDArray[np.float64]]] = {"accuracy": [], "precision": [], "recall": [], "f1": []}
    for _ in range(DRAWS // _CHUNK):
        weights = rng.multinomial(rows, np.full(rows, 1 / rows), _CHUNK).astype(np.float32)
        hits, support, given = (weights @ table for table in (right, actual, answered))  # [draws, K] each
        accuracy = hits.sum(axis=1) / rows
        figures["accuracy"].append(accuracy)
        figures["recall"].append(accuracy)  # weighted by rows, recall is the accuracy
        figures["precision"].append((support * hits / np.maximum(given, 1)).sum(axis=1) / rows)
        figures["f1"].append((support * 2 * hits / np.maximum(given + support, 1)).sum(axis=1) / rows)
    return {name: _interval(np.concatenate(parts)) for name, parts in figures.items()}


def share(hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the bootstrap interval of a share of rows bool[n], n > 0. The hits of a draw are binomial."""
    draws = np.random.default_rng(_SEED).binomial(len(hits), hits.mean(), DRAWS)
    return _interval(draws / len(hits))


def _interval(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
