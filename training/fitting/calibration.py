"""Temperatures and thresholds, per modality, fitted on labelled rows that no weight was fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import beta

from fashion_udf.model.manifest import Thresholds
from fashion_udf.schema import Modality

from ..evaluation import measures
from ..evaluation.modality_logits import Calibration, ModalityLogits

#: Probability that the true precision is at least the lower bound (one-sided).
CONFIDENCE_LEVEL = 0.9
#: Below this a calibrated category is more likely wrong than right: nothing is suggested.
REVIEW_CONFIDENCE = 0.5
#: A threshold that no confidence reaches, for a target precision that could not be shown for any other threshold.
NEVER = 2.0


def fit(validation: ModalityLogits, target_precision: float) -> Calibration:
    """Fit a temperature and thresholds for every modality.

    No weight was fitted to the validation rows. One temperature is fitted to all of them, and the thresholds hold for
    the confidences that scoring gives with it. Five folds, each with a temperature of its own, were tried: a fold with
    a sure mistake had higher confidences than the others, and no threshold reached the target on a validation set
    whose surest nine tenths held three mistakes.
    """
    temperatures, thresholds = {}, {}
    for modality in (Modality.BOTH, Modality.IMAGE, Modality.TEXT):
        logits = validation.logits[modality]
        temperature = fit_temperature(logits, validation.labels)
        auto = fit_threshold(*measures.confidences(validation.labels, logits, temperature), target_precision)
        temperatures[modality.value] = temperature
        thresholds[modality.value] = Thresholds(auto=auto, review=REVIEW_CONFIDENCE)
    return Calibration(temperatures, thresholds)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    """Return the temperature that minimises the negative log likelihood (Guo et al. 2017, section 4.2).

    Args:
        logits: float32[n, K].
        labels: int32[n]; rows with -1 (a category the model does not know) are left out.
    """
    known = labels >= 0
    if not known.any():  # nothing to fit to
        return 1.0
    rows = np.arange(int(known.sum()))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits[known].astype(np.float64) / np.exp(log_temperature), axis=1)
        return float(-scaled[rows, labels[known]].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def fit_threshold(confidence: NDArray[np.float64], hits: NDArray[np.bool_], target: float) -> float:
    """Return the lowest threshold whose precision has a lower bound of at least `target`.

    The bound is Clopper-Pearson's, one-sided at 90 %. Returns `NEVER` where no threshold reaches the target.
    """
    order = np.argsort(-confidence, kind="stable")
    taken = np.arange(1, len(order) + 1)
    right = np.cumsum(hits[order])
    lower_bound = np.where(right > 0, beta.ppf(1 - CONFIDENCE_LEVEL, np.maximum(right, 1), taken - right + 1), 0.0)
    # Rows of equal confidence are decided together: only the last of them is a possible threshold.
    last = np.append(np.diff(confidence[order]) != 0, True)
    reached = np.flatnonzero((lower_bound >= target) & last)
    return float(confidence[order][reached[-1]]) if len(reached) else NEVER
