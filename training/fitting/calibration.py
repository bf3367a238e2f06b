"""Temperatures and thresholds of each modality, fitted on labelled rows that no weight was fitted to.

The forms of the robustness set count: a row is scored with whatever text a shop wrote. One form does not, that of
titles without any word of the category: it shows how far a photo carries, and no shop writes its texts like that. The
confidences are those that scoring publishes, and so are the thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import beta

from fashion_udf.model import interpretation
from fashion_udf.model.engines.prediction import calibrated
from fashion_udf.model.manifest import Attribute, Calibrated, Calibration
from fashion_udf.model.taxonomy import Taxonomy
from fashion_udf.schema import Modality

from ..evaluation.decided import Answer, Decided, Meaning
from ..evaluation.robustness_forms import CATEGORY_MASKED
from ..evaluation.views import ROBUSTNESS, WITHOUT_DESCRIPTION, Seen, View

#: What is fitted to.
FITTED = tuple(view for view in ROBUSTNESS if view.form != CATEGORY_MASKED)
#: Probability that the true precision is at least the lower bound (one-sided). At 0.9, three wrong labels among the
#: surest 600 of 772 products forbade `auto` altogether.
CONFIDENCE_LEVEL = 0.5
#: Below this a calibrated answer is more likely wrong than right: nothing is suggested.
REVIEW_CONFIDENCE = 0.5
#: A threshold that no confidence reaches, for a target precision that could not be shown for any other threshold.
NEVER = 2.0
#: Share of the products of known categories that may count as novel.
NOVEL_KNOWN = 0.01
#: Weight of unknown products among the rows that temperatures are fitted to, where the validation split has some.
UNKNOWN_SHARE = 0.1
#: Share of the unknown products that may be `auto`.
UNKNOWN_AUTO = 0.005
#: Precision of attributes that are `auto`: a wrong colour is cheaper than a wrong category, and harder to tell.
ATTRIBUTE_PRECISION = 0.95


@dataclass(frozen=True)
class Form:
    """Answers in one form of the text: for rows of known categories, and for unknown products."""

    confidence: NDArray[np.float64]  # [n]; below 0: never `auto`, whatever the threshold
    hits: NDArray[np.bool_]  # [n]
    unknown: NDArray[np.float64]  # [u], the confidence of unknown products


def fit(
    validation: Seen, taxonomy: Taxonomy, attributes: Sequence[Attribute], target_precision: float
) -> dict[str, Calibration]:
    """Fit a calibration for every modality.

    No weight was fitted to the validation rows. One temperature is fitted to all of them, and the thresholds hold for
    the confidences that scoring gives with it. Five folds, each with a temperature of its own, were tried: a fold with
    a sure mistake had higher confidences than the others, and no threshold reached the target on a validation set
    whose surest nine tenths held three mistakes.

    Args:
        validation: the validation split, seen in all views of `ROBUSTNESS`.
        taxonomy: the parents of the categories.
        attributes: of the model.
        target_precision: which categories and parents that are `auto` must have in each form.

    Returns:
        A calibration for `both`, `image` and `text`.
    """
    fitted = {}
    for modality in (Modality.BOTH, Modality.IMAGE, Modality.TEXT):
        forms, plain = (
            [view for view in views if view.modality is modality and view in validation.answers]
            for views in (FITTED, WITHOUT_DESCRIPTION)
        )
        bare = _temperatures(validation, forms, plain, taxonomy, attributes)
        meaning = Meaning(taxonomy, attributes, {modality.value: bare})
        decided, untold = ([meaning.decide(validation, view) for view in views] for views in (forms, plain))
        fitted[modality.value] = _with_thresholds(bare, decided, untold, target_precision)
    return fitted


def _with_thresholds(
    bare: Calibration, decided: Sequence[Decided], untold: Sequence[Decided], target: float
) -> Calibration:
    """Add thresholds to temperatures.

    Args:
        bare: temperatures, and thresholds by which everything is `auto`.
        decided: answers in each form.
        untold: answers where no description tells attributes.
        target: precision of categories and parents.
    """
    novelty = fit_novelty(np.concatenate([np.empty(0), *(part.novelty[part.known] for part in decided)]))

    def with_auto(facts: Calibrated, answers: Sequence[tuple[Decided, Answer]], precision: float) -> Calibrated:
        auto = fit_threshold([_form(part, answer, novelty) for part, answer in answers], precision)
        return facts.model_copy(update={"auto": auto})

    return Calibration(
        category=with_auto(bare.category, [(part, part.category) for part in decided], target),
        parent=with_auto(bare.parent, [(part, part.parent) for part in decided], target),
        attributes={
            name: with_auto(facts, [(part, part.attributes[name]) for part in untold], ATTRIBUTE_PRECISION)
            for name, facts in bare.attributes.items()
        },
        novelty=novelty,
    )


def _form(decided: Decided, answer: Answer, novelty: float) -> Form:
    confidence = np.where(decided.novelty <= novelty, answer.confidence, -1.0)
    labelled = decided.known & (answer.labels >= 0)
    # An attribute of an unknown product, of which a label is known, is not wrong for that.
    return Form(confidence[labelled], answer.hits[labelled], confidence[~decided.known & (answer.labels < 0)])


def _temperatures(
    seen: Seen, forms: Sequence[View], plain: Sequence[View], taxonomy: Taxonomy, attributes: Sequence[Attribute]
) -> Calibration:
    """Return a calibration of temperatures alone, by which nothing is novel and everything is `auto`."""
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
    """Return weights float64[n] with which unknown products are `UNKNOWN_SHARE` of all rows; ones without either."""
    weights = np.ones(len(known))
    if known.any() and not known.all():
        weights[~known] = known.sum() / (~known).sum() * UNKNOWN_SHARE / (1 - UNKNOWN_SHARE)
    return weights


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int32], weights: NDArray[np.float64]) -> float:
    """Return the temperature that minimises the negative log likelihood (Guo et al. 2017, section 4.2).

    Args:
        logits: float32[n, C].
        labels: int32[n]; rows with -1 are left out.
        weights: float64[n].
    """
    kept = labels >= 0
    if not kept.any():  # nothing to fit to
        return 1.0
    rows, weights = np.arange(int(kept.sum())), weights[kept]

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits[kept].astype(np.float64) / np.exp(log_temperature), axis=1)
        return float(-np.average(scaled[rows, labels[kept]], weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def fit_novelty(novelty: NDArray[np.float64]) -> float:
    """Return the threshold that at most `NOVEL_KNOWN` of known rows exceed; 1 where there is no row."""
    return float(np.quantile(novelty, 1 - NOVEL_KNOWN, method="higher")) if len(novelty) else 1.0


def fit_threshold(forms: Sequence[Form], target: float) -> float:
    """Return the lowest threshold from which on answers are right often enough in each form.

    A precision is shown where its lower bound (Clopper-Pearson's, one-sided at `CONFIDENCE_LEVEL`) is at least
    `target`. It must be shown for all forms together, a row counting once and not once a form: the forms of a row are
    right or wrong together. In each form the share of right answers must reach it: a form of which few rows are sure
    cannot show more, and would forbid `auto` to all others. Of unknown products, at most `UNKNOWN_AUTO` may be let
    pass; one product may, in every form, where they are few.

    Returns `NEVER` where no threshold will do.
    """
    values = np.unique(np.concatenate([np.empty(0), *(form.confidence for form in forms)]))
    candidates = values[values >= 0]
    if not len(candidates):
        return NEVER
    taken = np.stack([_at_least(form.confidence, candidates) for form in forms])
    wrong = np.stack([_at_least(form.confidence[~form.hits], candidates) for form in forms])
    passing = np.sum([_at_least(form.unknown, candidates) for form in forms], axis=0)
    unknown = sum(len(form.unknown) for form in forms)
    good = (taken - wrong >= target * taken - 1e-9).all(axis=0)
    good &= _lower_bound((taken - wrong).mean(axis=0), taken.mean(axis=0)) >= target
    good &= passing <= max(UNKNOWN_AUTO * unknown, len(forms))
    return float(candidates[good.argmax()]) if good.any() else NEVER


def _at_least(confidence: NDArray[np.float64], candidates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many values are at least each candidate."""
    return (len(confidence) - np.searchsorted(np.sort(confidence), candidates, side="left")).astype(np.float64)


def _lower_bound(right: NDArray[np.float64], taken: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lower bound of a precision; 0 where nothing is right."""
    bound = beta.ppf(1 - CONFIDENCE_LEVEL, np.maximum(right, 1e-9), taken - right + 1)
    return np.where(right > 0, bound, 0.0)
