"""The best epoch: kept once it is reached, whatever comes later, and counted from for early stopping."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.fitting import best

keras = pytest.importorskip("keras")


def _model(value: float) -> Any:
    return SimpleNamespace(weights=[keras.Variable(np.full(3, value, np.float32)), keras.Variable(np.int32(value))])


def _values(model: Any) -> list[float]:
    return [float(np.asarray(weight).reshape(-1)[0]) for weight in model.weights]


def test_the_weights_of_the_best_epoch_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for epoch, accuracy in enumerate([0.5, 0.8, 0.8, 0.6]):
        best.offer(tmp_path, epoch, {"both": accuracy, "image": 0.2}, _model(epoch + 10.0))
    model = _model(0.0)
    with caplog.at_level(logging.INFO):
        best.load(tmp_path, model)
    assert _values(model) == [11.0, 11.0]
    assert "kept: epoch 2, of validation 0.5000" in caplog.text


def test_an_epoch_is_as_good_as_the_mean_of_its_accuracies() -> None:
    assert best.score({"both": 0.9, "image": 0.5, "text": 0.7, "text.capitals": 0.0}) == pytest.approx(0.7)
    assert best.score({"both": 0.9, "text": 0.7}) == pytest.approx(0.8), "rows without a photo"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_epochs_are_counted_from_the_first_best_one(scores: list[int]) -> None:
    history = [{"validation": {"both": float(score)}} for score in scores]
    assert scores[::-1][best.epochs_since(history)] == max(scores)
    assert best.epochs_since(history) == len(scores) - 1 - scores.index(max(scores))


def test_without_an_epoch_none_came_after_the_best_one() -> None:
    assert best.epochs_since([]) == 0
