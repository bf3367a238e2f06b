"""Convert the model's outputs to the columns of `SCORE` that depend on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.interpretation import Interpretation, interpret
from fashion_udf.schema import Decision


class Answers:
    """The labels and the calibration of a bundle for one precision."""

    def __init__(self, bundle: Bundle, precision: str, top_k: int) -> None:
        """Read labels and calibration; `top_k` is the number of categories in `top_categories`."""
        self._calibration = bundle.manifest.calibration[precision]
        self._attributes = bundle.manifest.attributes
        self._taxonomy = bundle.taxonomy
        self._labels = np.asarray(bundle.manifest.labels, dtype=object)
        self._families = np.asarray(self._taxonomy.names, dtype=object)
        self._top_k = top_k

    def columns(
        self, prediction: Prediction, modalities: Sequence[str], scored: NDArray[np.bool_]
    ) -> dict[str, list[Any]]:
        """Return the columns for the outputs of n rows, each with n values.

        A row that is not `scored` has null in all columns, except for the decisions on category and family, which are
        abstain.

        A list of top categories or of attributes holds tuples, and an embedding is a `memoryview` of float32, because
        Spark converts these to Arrow faster than dicts and arrays.
        """
        rows = np.flatnonzero(scored)
        chosen = Prediction(prediction.embedding[rows], prediction.logits[rows], prediction.attributes[rows])
        kinds = [modalities[row] for row in rows.tolist()]
        meaning = interpret(chosen, kinds, self._calibration, self._attributes, self._taxonomy.parents)
        abstain = Decision.ABSTAIN.value
        category, parent = meaning.category, meaning.parent
        found: dict[str, tuple[Iterable[Any], str | None]] = {
            "model_category": (self._labels[category.choice].tolist(), None),
            "confidence": (category.confidence.tolist(), None),
            "decision": (category.decision.tolist(), abstain),
            "top_categories": (self._top_categories(meaning), None),
            "parent_category": (self._families[parent.choice].tolist(), None),
            "parent_confidence": (parent.confidence.tolist(), None),
            "parent_decision": (parent.decision.tolist(), abstain),
            "novelty": (meaning.novelty.tolist(), None),
            "attributes": (self._attribute_lists(meaning), None),
            "embedding": (map(memoryview, chosen.embedding), None),
        }
        return {name: _spread(values, rows, len(scored), absent) for name, (values, absent) in found.items()}

    def _top_categories(self, meaning: Interpretation) -> list[list[tuple[str, float]]]:
        known = meaning.probabilities[:, :-1]
        order = np.argsort(-known, axis=1, kind="stable")[:, : self._top_k]
        names, shares = self._labels[order].tolist(), np.take_along_axis(known, order, axis=1).tolist()
        return [list(zip(*pair, strict=True)) for pair in zip(names, shares, strict=True)]

    def _attribute_lists(self, meaning: Interpretation) -> list[list[tuple[str, str, float, str]]]:
        """Return the attributes of each row, in the order of the manifest."""
        lists: list[list[tuple[str, str, float, str]]] = [[] for _ in meaning.novelty]
        for attribute in self._attributes:
            answer = meaning.attributes[attribute.name]
            told = zip(answer.choice.tolist(), answer.confidence.tolist(), answer.decision.tolist(), strict=True)
            for row, (choice, confidence, decision) in zip(lists, told, strict=True):
                row.append((attribute.name, attribute.values[choice], confidence, decision))
        return lists


def _spread(values: Iterable[Any], rows: NDArray[np.intp], count: int, absent: str | None) -> list[Any]:
    """Return `count` values: the given ones at their rows, and `absent` at the others."""
    column: list[Any] = [absent] * count
    for row, value in zip(rows.tolist(), values, strict=True):
        column[row] = value
    return column
