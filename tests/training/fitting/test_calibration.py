"""Temperatures and thresholds: recovered where they are known, and never promised where the data cannot show them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import beta

from fashion_udf.model.engines.prediction import calibrated
from fashion_udf.schema import Modality
from training.evaluation.modality_logits import ModalityLogits, accuracies, metrics
from training.fitting import calibration


def _sampled(temperature: float, rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, (rows, 5)).astype(np.float32)
    draws = random.random((rows, 1))
    labels = (softmax(logits / temperature, axis=1).cumsum(axis=1) < draws).sum(axis=1)
    return logits, np.minimum(labels, 4).astype(np.int32)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    assert calibration.fit_temperature(*_sampled(temperature)) == pytest.approx(temperature, rel=0.05)


def test_rows_of_unknown_category_do_not_move_the_temperature() -> None:
    logits, labels = _sampled(1.0, 2_000)
    unknown = np.full(500, -1, np.int32)
    with_unknown = calibration.fit_temperature(np.vstack([logits, logits[:500]]), np.append(labels, unknown))
    assert with_unknown == pytest.approx(calibration.fit_temperature(logits, labels))


@pytest.mark.parametrize("target", [0.64, 0.68, 0.74, 0.86])
def test_a_threshold_holds_for_the_confidences_that_scoring_gives(target: float) -> None:
    logits, labels = _sampled(2.0, 1_000)
    outcome = ModalityLogits(labels, dict.fromkeys((Modality.BOTH, Modality.IMAGE, Modality.TEXT), logits))
    fitted = calibration.fit(outcome, target)
    confidence = calibrated(logits, fitted.temperature["both"]).max(axis=1)
    expected = calibration.fit_threshold(confidence, logits.argmax(axis=1) == labels, target)
    assert fitted.thresholds["both"].auto == expected
    assert 0.05 < (confidence >= expected).mean() < 0.95


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=300))
def test_the_threshold_is_the_lowest_whose_lower_bound_reaches_the_target(rows: list[tuple[int, bool]]) -> None:
    confidence = np.asarray([level / 20 for level, _ in rows], np.float32)
    hits = np.asarray([hit for _, hit in rows])

    def reaches(threshold: float) -> bool:
        taken = hits[confidence >= threshold]
        return bool(taken.sum()) and beta.ppf(0.1, taken.sum(), len(taken) - taken.sum() + 1) >= 0.7

    expected = min((float(level) for level in set(confidence) if reaches(level)), default=calibration.NEVER)
    assert calibration.fit_threshold(confidence, hits, 0.7) == expected


def test_too_few_rows_to_show_the_target_mean_that_nothing_is_auto() -> None:
    confidence = np.linspace(0.9, 1, 100, dtype=np.float32)
    assert calibration.fit_threshold(confidence, np.ones(100, bool), 0.99) == calibration.NEVER


def test_metrics_leave_out_rare_and_unknown_categories() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 2, 0]]
    labels = np.asarray([0, 0, 0, 2, -1], np.int32)
    outcome = ModalityLogits(labels, {Modality.BOTH: logits})
    assert metrics(outcome)["both"]["accuracy"] == 0.75
    assert metrics(outcome, minimum=2)["both"] == pytest.approx(
        {"rows": 3, "accuracy": 2 / 3, "precision": 1.0, "recall": 2 / 3, "f1": 0.8}
    )
    assert accuracies(outcome) == {"both": 0.6}
