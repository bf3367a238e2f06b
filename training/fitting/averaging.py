"""The running average of a run's weights, which is validated, checkpointed and released.

The last weights of a run depend strongly on its last batches. Their exponential average does not (Polyak and Juditsky
1992). Running means and variances of the batch normalisations are averaged too, so that they fit the averaged weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

#: Steps between two updates, because an update reads every weight. An epoch ends with an update.
EVERY = 10


def updater(averaged: keras.Model, fitted: keras.Model, decay: float) -> Callable[[int], None]:
    """Return a function of the total number of steps that moves the weights of `averaged` towards those of `fitted`.

    Early weights have little influence: the average covers a part of the steps so far, as in TensorFlow's
    `ExponentialMovingAverage` with `num_updates`. All weights stay on their device.

    Args:
        averaged: a model with the same weights as `fitted`, in the same order.
        fitted: the model that the steps change.
        decay: decay per step.

    Raises:
        ValueError: the models have different numbers of weights.
    """
    import tensorflow as tf

    pairs = list(zip(averaged.weights, fitted.weights, strict=True))

    @tf.function
    def move(share: Any) -> None:
        for average, weight in pairs:
            new = tf.convert_to_tensor(weight)
            average.assign(average + share * (new - average) if new.dtype == tf.float32 else new)

    def update(total_steps: int) -> None:
        kept = min(decay**EVERY, total_steps / (total_steps + 10 * EVERY))
        move(tf.constant(1 - kept, tf.float32))

    return update
