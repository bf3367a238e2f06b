"""Fit thresholds of confidence and novelty on labelled answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

#: Probability that the true precision is at least the lower bound (one-sided). With a high level, such as 0.9, a few
#: wrong labels of a small validation split would prevent `auto` altogether.
CONFIDENCE_LEVEL = 0.5
#: A threshold that no confidence reaches, if no other threshold reaches the target precision.
NEVER = 2.0
#: Share of the products of known categories that may count as novel.
NOVEL_KNOWN = 0.01
#: Share of the unknown products that may be `auto`.
UNKNOWN_AUTO = 0.005


@dataclass(frozen=True)
class Form:
    """Answers in one form of the text: for rows of known categories, and for unknown products."""

    confidence: NDArray[np.float64]  # [n]; negative for rows that are never `auto`
    hits: NDArray[np.bool_]  # [n]
    unknown: NDArray[np.float64]  # [u], confidences of unknown products


def fit_novelty(novelty: NDArray[np.float64]) -> float:
    """Return the threshold that at most `NOVEL_KNOWN` of known rows exceed; 1 without rows."""
    return float(np.quantile(novelty, 1 - NOVEL_KNOWN, method="higher")) if len(novelty) else 1.0


def fit_threshold(forms: Sequence[Form], target: float) -> float:
    """Return the lowest threshold above which answers have the target precision in each form; `NEVER` if there is none.

    For all forms together, the lower bound of the precision (Clopper-Pearson, one-sided at `CONFIDENCE_LEVEL`) must
    reach `target`. A row counts once, because its forms are mostly right or wrong together. In each single form, only
    the share of right answers must reach `target`: a form with few confident rows has a low bound and would prevent
    `auto` for all forms. At most `UNKNOWN_AUTO` of the unknown products may be `auto`; if they are few, one product in
    each form.
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
    """Return the lower bound of a precision; 0 if no answer is right."""
    bound = beta.ppf(1 - CONFIDENCE_LEVEL, np.maximum(right, 1e-9), taken - right + 1)
    return np.where(right > 0, bound, 0.0)
