"""The average of a run's weights: near the last ones at first, then smooth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from training.fitting import averaging  # noqa: E402


def _model(*values: Any) -> Any:
    return SimpleNamespace(weights=[keras.Variable(value) for value in values])


def test_the_first_average_is_mostly_the_first_weights() -> None:
    averaged, fitted = _model(np.zeros(3, np.float32)), _model(np.ones(3, np.float32))
    averaging.updater(averaged, fitted, decay=0.995)(2)
    np.testing.assert_allclose(np.asarray(averaged.weights[0]), 1 - 2 / 102, rtol=1e-6)


def test_later_each_update_keeps_the_decay_of_the_steps_since_the_last() -> None:
    averaged, fitted = _model(np.zeros(3, np.float32)), _model(np.ones(3, np.float32))
    averaging.updater(averaged, fitted, decay=0.99)(1_000_000)
    np.testing.assert_allclose(np.asarray(averaged.weights[0]), 1 - 0.99**averaging.EVERY, rtol=1e-6)


def test_without_decay_the_average_is_the_weights() -> None:
    averaged, fitted = _model(np.zeros(3, np.float32)), _model(np.arange(3, dtype=np.float32))
    averaging.updater(averaged, fitted, decay=0.0)(50)
    np.testing.assert_array_equal(np.asarray(averaged.weights[0]), [0, 1, 2])


def test_counters_are_copied_and_other_models_refused() -> None:
    averaged, fitted = _model(np.zeros(2, np.int32)), _model(np.array([7, 8], np.int32))
    averaging.updater(averaged, fitted, decay=0.99)(1000)
    np.testing.assert_array_equal(np.asarray(averaged.weights[0]), [7, 8])
    with pytest.raises(ValueError, match="zip"):
        averaging.updater(_model(), fitted, decay=0.99)
