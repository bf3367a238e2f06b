"""Bootstrap intervals: as wide as statistics says, of the figures that sklearn computes, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from training.evaluation import intervals


def drawn(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, rows).astype(np.int32)
    wrong = rng.random(rows) < 0.2
    return labels, np.where(wrong, rng.integers(0, 4, rows), labels)


def test_an_interval_holds_its_figure_and_is_as_wide_as_a_normal_one() -> None:
    labels, predicted = drawn(1000)
    found = intervals.classification(labels, predicted)
    means = precision_recall_fscore_support(labels, predicted, average="weighted")
    expected = {
        "accuracy": (labels == predicted).mean(),
        **dict(zip(("precision", "recall", "f1"), means, strict=False)),
    }
    for name, value in expected.items():
        low, high = found[name]
        assert low < value < high
        assert high - low == pytest.approx(2 * 1.96 * np.sqrt(value * (1 - value) / 1000), rel=0.15)
    assert intervals.classification(labels, predicted) == found


def test_a_draw_of_all_rows_as_they_are_has_the_figures_of_sklearn(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, predicted = drawn(60)

    class Same:
        def multinomial(self, rows: int, shares: np.ndarray, draws: int) -> np.ndarray:
            return np.ones((draws, rows), np.int64)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Same())
    found = intervals.classification(labels, predicted)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="weighted", zero_division=0.0)
    assert found["precision"] == pytest.approx((precision, precision), abs=1e-6)
    assert found["recall"] == found["accuracy"] == pytest.approx((recall, recall), abs=1e-6)
    assert found["f1"] == pytest.approx((f1, f1), abs=1e-6)


def test_the_interval_of_a_share_is_that_of_accuracy() -> None:
    labels, predicted = drawn(1000)
    assert intervals.share(labels == predicted) == pytest.approx(
        intervals.classification(labels, predicted)["accuracy"], abs=0.005
    )
    assert intervals.share(np.ones(5, bool)) == (1.0, 1.0)
