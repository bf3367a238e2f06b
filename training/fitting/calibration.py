"""Fit temperatures and thresholds of each modality and precision on the validation split.

All forms of the robustness set are used, because shops write texts in many forms. The form of titles without any word
of the category is an exception, because no shop writes such titles. The confidences and thresholds are the published
ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from fashion_udf.model import interpretation
from fashion_udf.model.engines.prediction import calibrated
from fashion_udf.model.manifest import Attribute, Calibrated, Calibration
from fashion_udf.model.taxonomy import Taxonomy
from fashion_udf.schema import Modality

from ..evaluation.decided import Answer, Decided, Meaning
from ..evaluation.robustness_forms import CATEGORY_MASKED
from ..evaluation.views import ROBUSTNESS, WITHOUT_DESCRIPTION, Seen, View
from .thresholds import Form, fit_novelty, fit_threshold

#: The views for fitting.
FITTED = tuple(view for view in ROBUSTNESS if view.form != CATEGORY_MASKED)
#: Below this confidence an answer is more likely wrong than right, and the decision is abstain.
REVIEW_CONFIDENCE = 0.5
#: Weight of unknown products among the rows for fitting temperatures, if the validation split has unknown products.
UNKNOWN_SHARE = 0.1
#: Precision of `auto` attributes: a wrong colour is less harmful than a wrong category, and harder to avoid.
ATTRIBUTE_PRECISION = 0.95


def fit(
    validation: Mapping[str, Seen], taxonomy: Taxonomy, attributes: Sequence[Attribute], target_precision: float
) -> dict[str, dict[str, Calibration]]:
    """Fit a calibration for every precision and modality.

    No weight was fitted to the validation rows. One temperature is fitted to all of them, and the thresholds are fitted
    to the confidences with this temperature. Cross-validation with five folds does not work here: each fold has its own
    temperature, so that the confidences of different folds cannot be compared.

    Each precision has its own temperatures. The thresholds are the same for all precisions and reach the target in
    each: with separate thresholds, int8 and f32 would have different decisions for rows of equal confidence.

    Args:
        validation: by precision, the validation split in all views of `ROBUSTNESS`.
        taxonomy: the parents of the categories.
        attributes: the model's attributes.
        target_precision: the precision that `auto` categories and parents must have in each form.

    Returns:
        By precision, a calibration for `both`, `image` and `text`.
    """
    fitted: dict[str, dict[str, Calibration]] = {precision: {} for precision in validation}
    for modality in (Modality.BOTH, Modality.IMAGE, Modality.TEXT):
        bare, decided, untold = {}, [], []
        for precision, seen in validation.items():
            forms, plain = (
                [view for view in views if view.modality is modality and view in seen.answers]
                for views in (FITTED, WITHOUT_DESCRIPTION)
            )
            bare[precision] = _temperatures(seen, forms, plain, taxonomy, attributes)
            meaning = Meaning(taxonomy, attributes, {modality.value: bare[precision]})
            decided += [meaning.decide(seen, view) for view in forms]
            untold += [meaning.decide(seen, view) for view in plain]
        thresholds = _thresholds(decided, untold, attributes, target_precision)
        for precision, calibration in bare.items():
            fitted[precision][modality.value] = _with_thresholds(calibration, thresholds)
    return fitted


@dataclass(frozen=True)
class Thresholds:
    """The minimum confidences of `auto`, and the maximum novelty."""

    category: float
    parent: float
    attributes: Mapping[str, float]
    novelty: float


def _thresholds(
    decided: Sequence[Decided], untold: Sequence[Decided], attributes: Sequence[Attribute], target: float
) -> Thresholds:
    """Fit thresholds.

    Args:
        decided: answers in each form and precision.
        untold: answers without a description, which could name attributes.
        attributes: the model's attributes.
        target: target precision of categories and parents.
    """
    novelty = fit_novelty(np.concatenate([np.empty(0), *(part.novelty[part.known] for part in decided)]))
    return Thresholds(
        category=fit_threshold([_form(part, part.category, novelty) for part in decided], target),
        parent=fit_threshold([_form(part, part.parent, novelty) for part in decided], target),
        attributes={
            name: fit_threshold([_form(part, part.attributes[name], novelty) for part in untold], ATTRIBUTE_PRECISION)
            for name in (attribute.name for attribute in attributes)
        },
        novelty=novelty,
    )


def _with_thresholds(bare: Calibration, thresholds: Thresholds) -> Calibration:
    def with_auto(facts: Calibrated, auto: float) -> Calibrated:
        return facts.model_copy(update={"auto": auto})

    return Calibration(
        category=with_auto(bare.category, thresholds.category),
        parent=with_auto(bare.parent, thresholds.parent),
        attributes={name: with_auto(facts, thresholds.attributes[name]) for name, facts in bare.attributes.items()},
        novelty=thresholds.novelty,
    )


def _form(decided: Decided, answer: Answer, novelty: float) -> Form:
    confidence = np.where(decided.novelty <= novelty, answer.confidence, -1.0)
    labelled = decided.known & (answer.labels >= 0)
    # A labelled attribute of an unknown product can be right.
    return Form(confidence[labelled], answer.hits[labelled], confidence[~decided.known & (answer.labels < 0)])


def _temperatures(
    seen: Seen, forms: Sequence[View], plain: Sequence[View], taxonomy: Taxonomy, attributes: Sequence[Attribute]
) -> Calibration:
    """Return a calibration with temperatures only: nothing is novel, and everything is `auto`."""
    categories = len(taxonomy.parents)
    labels, logits = [np.empty(0, np.int32)], [np.empty((0, categories + 1), np.float32)]
    for view in forms:
        label, prediction = seen.of(view)
        labels.append(np.where(label < 0, categories, label))
        logits.append(prediction.logits)
    label, logit = np.concatenate(labels), np.concatenate(logits)
    weights = mixture(label < categories)
    temperature = fit_temperature(logit, label, weights)
    parents = interpretation.parent_probabilities(calibrated(logit, temperature), taxonomy.parents, 1.0)
    log_parents = np.log(np.maximum(parents, np.finfo(np.float32).tiny))
    parent = np.append(taxonomy.parents, len(taxonomy.names))[label].astype(np.int32)
    return Calibration(
        category=_everything(temperature),
        parent=_everything(fit_temperature(log_parents, parent, weights)),
        attributes=_attribute_temperatures(seen, plain, attributes),
        novelty=1.0,
    )


def _attribute_temperatures(
    seen: Seen, views: Sequence[View], attributes: Sequence[Attribute]
) -> dict[str, Calibrated]:
    fitted, start = {}, 0
    for number, attribute in enumerate(attributes):
        part = slice(start, start := start + len(attribute.values))
        values, logits = [np.empty(0, np.int32)], [np.empty((0, len(attribute.values)), np.float32)]
        for view in views:
            values.append(seen.attributes[seen.answers[view].rows, number])
            logits.append(seen.of(view)[1].attributes[:, part])
        label = np.concatenate(values)
        fitted[attribute.name] = _everything(fit_temperature(np.concatenate(logits), label, np.ones(len(label))))
    return fitted


def _everything(temperature: float) -> Calibrated:
    return Calibrated(temperature=temperature, auto=0.0, review=REVIEW_CONFIDENCE)


def mixture(known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights float64[n] that make unknown products `UNKNOWN_SHARE` of all rows; ones if a kind is missing."""
    weights = np.ones(len(known))
    if known.any() and not known.all():
        weights[~known] = known.sum() / (~known).sum() * UNKNOWN_SHARE / (1 - UNKNOWN_SHARE)
    return weights


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int32], weights: NDArray[np.float64]) -> float:
    """Return the temperature that minimises the negative log likelihood (Guo et al. 2017, section 4.2).

    Args:
        logits: float32[n, C].
        labels: int32[n]; rows with -1 are ignored.
        weights: float64[n].
    """
    kept = labels >= 0
    if not kept.any():  # no row to fit
        return 1.0
    rows, weights = np.arange(int(kept.sum())), weights[kept]

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits[kept].astype(np.float64) / np.exp(log_temperature), axis=1)
        return float(-np.average(scaled[rows, labels[kept]], weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))
