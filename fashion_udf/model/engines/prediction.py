"""The inputs and outputs of every engine, and the calibration of logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """The model's outputs for n rows."""

    embedding: NDArray[np.float32]  # [n, 256], unit length
    logits: NDArray[np.float32]  # [n, K + 1], the last one for a product of none of the K categories
    attributes: NDArray[np.float32]  # [n, V], logits of the values, attribute by attribute; V is 0 without attributes


#: pixels uint8[n, s, s, 3] RGB, image_present float32[n, 1] of 1 or 0, token_ids int32[n, t] padded with 0.
Predict = Callable[[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]], Prediction]


def from_outputs(output: Callable[[str], NDArray[np.float32]], values: int) -> Prediction:
    """Return the prediction of a model with V `values`, from the framework's outputs by name."""
    logits = output("logits")
    attributes = output("attributes") if values else np.empty((len(logits), 0), np.float32)
    return Prediction(output("embedding"), logits, attributes)


def calibrated(
    logits: NDArray[np.float32], temperature: float | NDArray[np.float64] | NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return probabilities: softmax(logits / temperature), the temperature scaling of Guo et al. 2017.

    Args:
        logits: float32[n, K].
        temperature: one value for all rows, or an array [n, 1].

    Returns:
        float32[n, K]; each row sums to 1.
    """
    scaled: NDArray[np.float64] = logits.astype(np.float64) / temperature
    # The maximum becomes exp(0), so that no temperature overflows.
    exponentials: NDArray[np.float64] = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    return exponentials.astype(np.float32)
