"""The running average of a run's weights, which is validated, checkpointed and released.

The last weights of a small-batch run depend on its last few batches: one epoch apart, the accuracy by the photo alone
moved by up to 20 points. Their exponential average does not (Polyak and Juditsky 1992). Running means and variances of
the batch normalisations are averaged too, so that they belong to the averaged weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

#: Steps from one update to the next, for an update reads every weight. An epoch ends with one too.
EVERY = 10


def update(averaged: keras.Model, fitted: keras.Model, decay: float, total_steps: int) -> None:
    """Move the weights of `averaged` towards those of `fitted`.

    The first weights weigh little: the average is taken over a part of the steps so far (as TensorFlow's
    `ExponentialMovingAverage` does with `num_updates`).

    Args:
        averaged: a model with the weights of `fitted`, in the same order.
        fitted: the model that the steps change.
        decay: per step.
        total_steps: done so far.
    """
    import numpy as np

    kept = min(decay**EVERY, total_steps / (total_steps + 10 * EVERY))
    for average, weight in zip(averaged.weights, fitted.weights, strict=True):
        old, new = np.asarray(average), np.asarray(weight)
        average.assign(old + (1 - kept) * (new - old) if old.dtype == np.float32 else new)
