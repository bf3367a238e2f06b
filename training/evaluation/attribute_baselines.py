"""Baselines of attributes: the most frequent value, and a classifier of titles without a neural network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import CatalogError

from . import baseline
from .baseline import Titles


@dataclass(frozen=True)
class LabelledTitles:
    """Titles of n rows, and the index of each attribute's value int32[n, A]; -1 if unknown."""

    titles: Sequence[str]
    attributes: NDArray[np.int32]

    def of(self, attribute: int) -> Titles:
        """Return the titles with the values of one attribute."""
        return Titles(self.titles, self.attributes[:, attribute])


def accuracies(
    train: LabelledTitles, validation: LabelledTitles, test: LabelledTitles, values: Sequence[int]
) -> list[dict[str, float | None]]:
    """Return, for each attribute, the accuracy on the rows of `test` whose value is known.

    Args:
        train: the rows to fit.
        validation: the rows to choose the regularisation.
        test: the rows to measure.
        values: the number of values of each attribute.

    Returns:
        `most_frequent` and `titles` (TF-IDF and logistic regression); None without rows to fit or to measure.
    """
    return [_accuracy(train.of(at), validation.of(at), test.of(at), count) for at, count in enumerate(values)]


def _accuracy(train: Titles, validation: Titles, test: Titles, values: int) -> dict[str, float | None]:
    titles, labels = test.known()
    fitted_to = train.known()[1]
    if not len(labels) or not len(fitted_to):
        return {"most_frequent": None, "titles": None}
    frequent = int(np.bincount(fitted_to).argmax())
    try:
        fitted = baseline.fit(train, validation, values)
    except CatalogError:  # a single value, or titles without words
        return {"most_frequent": float((labels == frequent).mean()), "titles": None}
    predicted = fitted.probabilities(titles).argmax(axis=1)
    return {"most_frequent": float((labels == frequent).mean()), "titles": float((predicted == labels).mean())}
