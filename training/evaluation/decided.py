"""Answers of a model, as scoring would publish them, with the labels of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model import interpretation
from fashion_udf.model.manifest import Attribute, Calibration
from fashion_udf.model.taxonomy import Taxonomy
from fashion_udf.schema import Decision

from .views import Seen, View


@dataclass(frozen=True)
class Answer:
    """One answer for each of m rows."""

    labels: NDArray[np.int32]  # [m]; -1 if unknown
    chosen: NDArray[np.int64]  # [m]
    confidence: NDArray[np.float64]  # [m]
    decision: NDArray[np.object_]  # [m], values of `Decision`

    @property
    def auto(self) -> NDArray[np.bool_]:
        """Return which answers are `auto`."""
        return np.asarray(self.decision == Decision.AUTO.value, bool)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Return which answers equal the label. An answer with an unknown label is never a hit."""
        return np.asarray(self.chosen == self.labels, bool)

    def select(self, kept: NDArray[np.bool_]) -> Answer:
        """Return the answers where `kept` bool[m] is true."""
        return Answer(self.labels[kept], self.chosen[kept], self.confidence[kept], self.decision[kept])


@dataclass(frozen=True)
class Decided:
    """The answers for the m rows that have the inputs of a view."""

    known: NDArray[np.bool_]  # [m]: whether the model knows the row's category
    novelty: NDArray[np.float64]  # [m], 0 to 1
    novel: NDArray[np.bool_]  # [m]: whether the novelty is above the threshold
    category: Answer
    parent: Answer
    attributes: Mapping[str, Answer]

    def select(self, kept: NDArray[np.bool_]) -> Decided:
        """Return the rows where `kept` bool[m] is true."""
        return Decided(
            self.known[kept],
            self.novelty[kept],
            self.novel[kept],
            self.category.select(kept),
            self.parent.select(kept),
            {name: answer.select(kept) for name, answer in self.attributes.items()},
        )


@dataclass(frozen=True)
class Meaning:
    """The facts of a bundle that `interpretation.interpret` needs to turn outputs into answers."""

    taxonomy: Taxonomy
    attributes: Sequence[Attribute]
    calibration: Mapping[str, Calibration]  # of one precision, by modality

    def decide(self, seen: Seen, view: View) -> Decided:
        """Return the answers that scoring would publish for the rows of a view."""
        labels, prediction = seen.of(view)
        modality, known = view.modality.value, labels >= 0
        told = interpretation.interpret(
            prediction, [modality] * len(labels), self.calibration, self.attributes, self.taxonomy.parents
        )
        values = seen.attributes[seen.answers[view].rows]
        parents = np.where(known, self.taxonomy.parents[labels], -1).astype(np.int32)
        return Decided(
            known,
            told.novelty.astype(np.float64),
            told.novelty > self.calibration[modality].novelty,
            _answer(told.category, labels),
            _answer(told.parent, parents),
            {
                attribute.name: _answer(told.attributes[attribute.name], values[:, number])
                for number, attribute in enumerate(self.attributes)
            },
        )


def _answer(told: interpretation.Answer, labels: NDArray[np.int32]) -> Answer:
    return Answer(labels, told.choice, told.confidence.astype(np.float64), told.decision)
