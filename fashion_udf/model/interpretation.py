"""Interpret a model's outputs: category, family, attributes and novelty, each with a confidence and a decision.

The scorer, the golden rows and the evaluation of training all use this module, so that the measured figures describe
the published results.

    confidence of a category   its probability, softmax(logits / temperature) over the K categories and "another kind"
    novelty                    the probability of "another kind": the product has no known category, or photo and text
                               show different products
    confidence of a family     the sum over its categories, sharpened by its own temperature
    confidence of a value      its probability, softmax(logits / temperature) over the values of its attribute
    auto                       the confidence is at least `auto`, and the novelty at most the calibration's threshold
    review                     otherwise, if the confidence is at least `review` or the novelty above the threshold: a
                               person must look at a novel product
    abstain                    otherwise
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model.engines.prediction import Prediction, calibrated
from fashion_udf.model.manifest import Attribute, Calibrated, Calibration
from fashion_udf.schema import Decision


@dataclass(frozen=True)
class Answer:
    """The best of several choices, for n rows."""

    choice: NDArray[np.intp]  # [n], the first one of equally good choices
    confidence: NDArray[np.float32]  # [n]
    decision: NDArray[np.object_]  # [n], values of `Decision`


@dataclass(frozen=True)
class Interpretation:
    """The interpreted outputs of n rows."""

    probabilities: NDArray[np.float32]  # [n, K + 1], by category; the last one is the novelty
    category: Answer  # index into the labels
    parent: Answer  # index into `Taxonomy.names`
    attributes: dict[str, Answer]  # by the attribute's name: index into its values
    attribute_probabilities: NDArray[np.float32]  # [n, V], attribute by attribute

    @property
    def novelty(self) -> NDArray[np.float32]:
        """float32[n] from 0 to 1: the probability that a product has no known category."""
        return self.probabilities[:, -1]


def interpret(
    prediction: Prediction,
    modalities: Sequence[str],
    calibration: Mapping[str, Calibration],
    attributes: Sequence[Attribute],
    parents: NDArray[np.intp],
) -> Interpretation:
    """Interpret the outputs of rows. A row with a NaN has NaN confidences and the decision abstain.

    Args:
        prediction: the outputs for n rows.
        modalities: for each row, a key of `calibration`.
        calibration: by modality, for the precision that computed the prediction.
        attributes: the model's attributes, in the order of their logits.
        parents: `Taxonomy.parents`, int[K].
    """
    rows = _Rows(modalities, calibration)
    category = [facts.category for facts in calibration.values()]
    parent = [facts.parent for facts in calibration.values()]
    probabilities = calibrated(prediction.logits, rows.temperature(category))
    novelty = probabilities[:, -1]
    is_novel = novelty > rows.pick([facts.novelty for facts in calibration.values()])
    families = parent_probabilities(probabilities, parents, rows.temperature(parent))
    values, answers, start = np.empty(prediction.attributes.shape, np.float32), {}, 0
    for attribute in attributes:
        limits = [facts.attributes[attribute.name] for facts in calibration.values()]
        part = slice(start, start := start + len(attribute.values))
        values[:, part] = calibrated(prediction.attributes[:, part], rows.temperature(limits))
        answers[attribute.name] = rows.answer(values[:, part], limits, is_novel)
    return Interpretation(
        probabilities=probabilities,
        category=rows.answer(probabilities[:, :-1], category, is_novel),
        parent=rows.answer(families[:, :-1], parent, is_novel),
        attributes=answers,
        attribute_probabilities=values,
    )


def parent_probabilities(
    probabilities: NDArray[np.float32], parents: NDArray[np.intp], temperature: float | NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the calibrated probabilities of the families.

    Args:
        probabilities: float32[n, K + 1], of the categories and of "another kind".
        parents: int[K], index of each category's family among F families.
        temperature: one value for all rows, or an array [n, 1].

    Returns:
        float32[n, F + 1]; the last column is "another kind". Each row sums to 1.
    """
    families = np.eye(int(parents.max()) + 1)[parents]  # [K, F], 1 if the category belongs to the family
    sums = np.column_stack([probabilities[:, :-1].astype(np.float64) @ families, probabilities[:, -1]])
    # The maximum becomes 1, so that no temperature makes all of them underflow.
    powers = (sums / sums.max(axis=1, keepdims=True)) ** (1.0 / temperature)
    shares: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


class _Rows:
    """The modalities of rows. They select the calibration of each row."""

    def __init__(self, modalities: Sequence[str], calibration: Mapping[str, Calibration]) -> None:
        place = {modality: index for index, modality in enumerate(calibration)}
        self._at = np.asarray([place[modality] for modality in modalities], np.intp)

    def pick(self, by_modality: Sequence[float]) -> NDArray[np.float64]:
        return np.asarray(by_modality, np.float64)[self._at]

    def temperature(self, limits: Sequence[Calibrated]) -> NDArray[np.float64]:
        return self.pick([each.temperature for each in limits])[:, None]

    def answer(
        self, probabilities: NDArray[np.float32], limits: Sequence[Calibrated], is_novel: NDArray[np.bool_]
    ) -> Answer:
        choice = probabilities.argmax(axis=1)
        confidence = np.take_along_axis(probabilities, choice[:, None], axis=1)[:, 0]
        decision = np.full(len(choice), Decision.ABSTAIN.value, object)
        decision[(confidence >= self.pick([each.review for each in limits])) | is_novel] = Decision.REVIEW.value
        decision[(confidence >= self.pick([each.auto for each in limits])) & ~is_novel] = Decision.AUTO.value
        return Answer(choice, confidence, decision)
