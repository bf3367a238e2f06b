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


def figures(**changed: Any) -> dict[str, Any]:
    """Return the figures of an evaluation."""
    by_modality = {name: dict(_ROW) for name in ("both", "image", "text")}
    return {
        "model": {"name": "tiny", "version": "0" * 64, "engine": "openvino", "precision": "f32"},
        "data": {
            "split": "test",
            "rows": 8,
            "unknown_category_rows": 0,
            "frequent_from": 10,
            "split_of_the_model": True,
        },
        "all": by_modality,
        "frequent": {name: {"rows": 0.0} for name in by_modality},
        "published": PUBLISHED,
        "baseline": {"regularisation": 10.0, "all": _ROW, "frequent": _ROW},
        "robustness": {
            "as_given": {"both": 0.5, "text": 0.25},
            "photo_removed": {"both": 0.25, "text": 0.25},
            "text_removed": {"both": 0.125},
            "category_words_removed": {"both": 0.25, "text": 0.5, "both_minus_text": -0.25, "changed_titles": 7},
        },
        "neighbours": {"count": 10, "all": 0.9, "frequent": None},
        **changed,
    }
