"""Figures of an evaluation, as `training.evaluation.evaluate_bundle.evaluate` gives them."""

from __future__ import annotations

from typing import Any

from training.evaluation.tables import PUBLISHED

_ROW = {
    "rows": 8.0,
    "accuracy": 0.5,
    "precision": 0.25,
    "recall": 0.5,
    "f1": 0.125,
    "macro_precision": 0.1,
    "macro_recall": 0.2,
    "macro_f1": 0.3,
    "top3": 0.75,
    "ece": 0.01,
    "auto_share": 0.0,
}
_JUDGED = {"rows": 8.0, "accuracy": 0.5, "accuracy_interval": [0.25, 0.75], "ece": 0.01, "auto_share": 0.0}


def measured(**changed: Any) -> dict[str, Any]:
    """Return what `training.evaluation.figures.measure` gives."""
    intervals = {name: [0.25, 0.75] for name in ("accuracy", "precision", "recall", "f1")}
    forms = {
        "image": {"no_text": _JUDGED},
        "both": {"title_alone": _JUDGED, "html": {**_JUDGED, "accuracy": 0.375}},
        "text": {"title_alone": {**_JUDGED, "auto_share": 0.5, "auto_precision": 0.9875}},
    }
    novelty = {"known_rows": 8.0, "unknown_rows": 4.0, "auroc": 0.875, "auto_share_of_unknown": 0.25}
    return {
        "rows": 8,
        "unknown_rows": 0,
        "as_given": {name: {**_ROW, "intervals": intervals} for name in ("both", "image", "text")},
        "forms": forms,
        "parents": {"image": {"no_text": {**_JUDGED, "accuracy": 0.625}}},
        "attributes": {"gender": {"text": _JUDGED}},
        "novelty": {"text": {"other_products": novelty}, "image": {}},
        **changed,
    }


def figures(**changed: Any) -> dict[str, Any]:
    """Return the figures of an evaluation."""
    return {
        "model": {"name": "tiny", "version": "0" * 64, "engine": "openvino", "precision": "f32"},
        "data": {"split": "test", "frequent_from": 10, "split_of_the_model": True},
        **measured(),
        "frequent": {name: {"rows": 0.0} for name in ("both", "image", "text")},
        "published": PUBLISHED,
        "baseline": {"regularisation": 10.0, **_ROW},
        "attribute_baselines": {"gender": {"most_frequent": 0.4375, "titles": None}},
        "novelty_scores": {"text, title_alone": {"probability of another kind": 0.9, "energy of the categories": 0.8}},
        "neighbours": {"count": 10.0, "category": 0.9, "base_colour": 0.45, "last_score": 0.75},
        "titles": None,
        **changed,
    }
