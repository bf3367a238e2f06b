"""Answers of a model as scoring would publish them, beside the labels of their rows.

The meaning of an answer is that of `fashion_udf.model.interpretation`: what is measured here is what is published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model.engines.prediction import calibrated
from fashion_udf.model.manifest import Attribute, Calibrated, Calibration
from fashion_udf.model.taxonomy import Taxonomy

from .views import Seen, View


@dataclass(frozen=True)
class Answer:
    """One answer for each of m rows."""

    labels: NDArray[np.int32]  # [m]; -1: not known
    chosen: NDArray[np.int64]  # [m]
    confidence: NDArray[np.float64]  # [m]
    auto: NDArray[np.bool_]  # [m], passes without a person

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Which answers are the label; never one whose label is not known."""
        return self.chosen == self.labels

    def select(self, kept: NDArray[np.bool_]) -> Answer:
        """Return the answers where `kept` bool[m] is true."""
        return Answer(self.labels[kept], self.chosen[kept], self.confidence[kept], self.auto[kept])


@dataclass(frozen=True)
class Decided:
    """The answers for the m rows that have the inputs of a view."""

    known: NDArray[np.bool_]  # [m]: of a category that the model knows
    novelty: NDArray[np.float64]  # [m], 0 to 1
    category: Answer
    parent: Answer
    attributes: Sequence[Answer]


def decide(
    seen: Seen, view: View, calibration: Calibration, taxonomy: Taxonomy, attributes: Sequence[Attribute]
) -> Decided:
    """Return what scoring would publish of the rows of a view, with a calibration of the view's modality."""
    labels, prediction = seen.of(view)
    known = labels >= 0
    probabilities = calibrated(prediction.logits, calibration.category.temperature)
    novelty = probabilities[:, -1]
    usual = novelty <= calibration.novelty
    powers = families(probabilities, taxonomy) ** (1 / calibration.parent.temperature)
    parents = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]
    parent_labels = np.where(known, taxonomy.parents[labels], -1).astype(np.int32)
    values = seen.attributes[seen.answers[view].rows]
    return Decided(
        known,
        novelty.astype(np.float64),
        _answer(probabilities[:, :-1], labels, calibration.category, usual),
        _answer(parents, parent_labels, calibration.parent, usual),
        [
            _answer(
                calibrated(part, calibration.attributes[attribute.name].temperature),
                values[:, number],
                calibration.attributes[attribute.name],
                np.ones(len(labels), bool),
            )
            for number, (attribute, part) in enumerate(
                zip(attributes, attribute_logits(prediction.attributes, attributes), strict=True)
            )
        ],
    )


def families(probabilities: NDArray[np.float32], taxonomy: Taxonomy) -> NDArray[np.float32]:
    """Return float32[m, F + 1]: the probabilities [m, K + 1] of each family's categories together, and the last one."""
    member = np.eye(len(taxonomy.names), dtype=np.float32)[taxonomy.parents]
    return np.concatenate([probabilities[:, :-1] @ member, probabilities[:, -1:]], axis=1)


def attribute_logits(logits: NDArray[np.float32], attributes: Sequence[Attribute]) -> list[NDArray[np.float32]]:
    """Return the logits [m, V] of each attribute's own values."""
    ends = np.cumsum([len(attribute.values) for attribute in attributes])
    return list(np.split(logits, ends[:-1], axis=1)) if len(attributes) else []


def _answer(
    probabilities: NDArray[np.float32], labels: NDArray[np.int32], facts: Calibrated, usual: NDArray[np.bool_]
) -> Answer:
    confidence = probabilities.max(axis=1)
    return Answer(
        labels, probabilities.argmax(axis=1), confidence.astype(np.float64), usual & (confidence >= facts.auto)
    )
