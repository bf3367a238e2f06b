"""How well a model distinguishes unknown products from known ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.metrics import roc_auc_score

from fashion_udf.model.engines.prediction import Prediction

from . import measures
from .decided import Decided

#: Share of unknown products in the mixture for the calibration error.
UNKNOWN_SHARE = 0.1


def figures(known: Decided, unknown: Decided) -> dict[str, float]:
    """Return how well known and unknown products are distinguished in one modality.

    `auroc` is the probability that an unknown product has a higher novelty than a known one. `mixture_ece` is the
    calibration error on rows of which `UNKNOWN_SHARE` are unknown; every category is wrong for these.
    """
    rows = {"known_rows": float(len(known.novelty)), "unknown_rows": float(len(unknown.novelty))}
    if not all(rows.values()):
        return rows
    confidence = np.concatenate([known.category.confidence, unknown.category.confidence])
    hits = np.concatenate([known.category.hits, np.zeros(len(unknown.novelty), bool)])
    counts = np.asarray([len(known.novelty), len(unknown.novelty)])
    weights = np.repeat([1 - UNKNOWN_SHARE, UNKNOWN_SHARE] / counts, counts)
    return {
        **rows,
        "auroc": auroc(known.novelty, unknown.novelty),
        "novel_share_of_known": float(known.novel.mean()),
        "novel_share_of_unknown": float(unknown.novel.mean()),
        "auto_share_of_unknown": float(unknown.category.auto.mean()),
        "parent_auto_share_of_unknown": float(unknown.parent.auto.mean()),
        "median_confidence_of_unknown": float(np.median(unknown.category.confidence)),
        "mixture_ece": measures.calibration_error(confidence, hits, weights=weights),
    }


def auroc(known: NDArray[np.floating[Any]], unknown: NDArray[np.floating[Any]]) -> float:
    """Return the area under the ROC curve of a score that should be higher for unknown products."""
    labels = np.repeat([0, 1], [len(known), len(unknown)])
    return float(roc_auc_score(labels, np.concatenate([known, unknown])))


def compared(known: Prediction, labels: NDArray[np.int32], unknown: Prediction, temperature: float) -> dict[str, float]:
    """Return the AUROC of several scores of novelty, by name. The first one is published.

    The centroids are computed from the same known rows, so that the last score looks better than it is.

    Args:
        known: outputs for rows of known categories.
        labels: their categories int32[n].
        unknown: outputs for unknown products.
        temperature: temperature of the categories' softmax.
    """
    centroids = np.stack([known.embedding[labels == label].mean(axis=0) for label in np.unique(labels)])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)

    def scores(prediction: Prediction) -> dict[str, NDArray[np.float64]]:
        scaled = prediction.logits.astype(np.float64) / temperature
        return {
            "probability of another kind": np.exp(log_softmax(scaled, axis=1)[:, -1]),
            "energy of the categories": -logsumexp(scaled[:, :-1], axis=1),
            "1 - largest probability of a category": 1 - np.exp(log_softmax(scaled[:, :-1], axis=1)).max(axis=1),
            "largest logit of a category": -scaled[:, :-1].max(axis=1),
            "distance to the nearest centroid": 1 - (prediction.embedding @ centroids.T).max(axis=1),
        }

    of_known, of_unknown = scores(known), scores(unknown)
    return {name: auroc(values, of_unknown[name]) for name, values in of_known.items()}
