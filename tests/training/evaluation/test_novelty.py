"""Novelty: unknown products are told from known ones, and the calibration error is of a mixture of both."""

from __future__ import annotations

import numpy as np
import pytest

from fashion_udf.model.engines.prediction import Prediction
from training.evaluation import novelty
from training.evaluation.decided import Answer, Decided


def decided(confidence: list[float], hits: list[bool], scores: list[float], threshold: float = 0.5) -> Decided:
    rows, score = len(confidence), np.asarray(scores)
    auto = (np.asarray(confidence) >= 0.9) & (score <= threshold)
    answer = Answer(
        np.zeros(rows, np.int32),
        np.where(hits, 0, 1),
        np.asarray(confidence),
        np.where(auto, "auto", "review").astype(object),
    )
    return Decided(np.ones(rows, bool), score, score > threshold, answer, answer, {})


KNOWN = decided([0.95, 0.75], [True, True], [0.0, 0.6])


def test_figures_are_of_known_against_unknown() -> None:
    found = novelty.figures(KNOWN, decided([0.95, 0.3], [False, False], [0.5, 0.9]))
    assert found == {
        "known_rows": 2.0,
        "unknown_rows": 2.0,
        "auroc": 0.75,
        "novel_share_of_known": 0.5,
        "novel_share_of_unknown": 0.5,
        "auto_share_of_unknown": 0.5,
        "parent_auto_share_of_unknown": 0.5,
        "median_confidence_of_unknown": 0.625,
        # 0.95 with hits of 0.45 in 0.5 of the rows, 0.75 with hits of 0.45 in 0.45, 0.3 with none in 0.05
        "mixture_ece": pytest.approx(abs(0.45 - 0.95 * 0.5) + 0.45 * 0.25 + 0.05 * 0.3),
    }


def test_without_known_or_unknown_rows_there_is_nothing_to_tell() -> None:
    none = decided([], [], [])
    assert novelty.figures(KNOWN, none) == {"known_rows": 2.0, "unknown_rows": 0.0}
    assert novelty.figures(none, KNOWN) == {"known_rows": 0.0, "unknown_rows": 2.0}


def test_scores_are_compared_on_the_same_rows() -> None:
    embedding = np.eye(3, dtype=np.float32)
    known = Prediction(embedding[[0, 1]], np.asarray([[5, 0, 0], [0, 5, 0]], np.float32), np.empty((2, 0), np.float32))
    unknown = Prediction(embedding[[2, 2]], np.asarray([[0, 0, 5], [0.1, 0, 5]], np.float32), known.attributes)
    found = novelty.compared(known, np.asarray([0, 1], np.int32), unknown, 1.0)
    assert next(iter(found)) == "probability of another kind" and set(found.values()) == {1.0}
    assert len(found) == 5
    reverse = novelty.compared(unknown, np.asarray([0, 1], np.int32), known, 1.0)
    assert reverse["probability of another kind"] == 0.0
