"""Batch normalisation of a training step in one kernel instead of eight.

Keras 3 computes mean, variance, scale and shift one by one. TensorFlow's fused kernel is faster on CPUs. Names, weights
and inference are those of Keras' layer.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """`keras.layers.BatchNormalization` of float[n, h, w, c], fused in training.

    The kernel's variance has Bessel's correction (n - 1), unlike Keras': a difference of 0.8 % for 32 maps of 2 x 2.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise a batch. In training, also update the running mean and variance."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, tf.cast(self.gamma, "float32"), tf.cast(self.beta, "float32"), None, None, self.epsilon
        )
        for moving, batch in [(self.moving_mean, mean), (self.moving_variance, variance)]:
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


def fuse(model: keras.Model, momentum: float) -> keras.Model:
    """Return a newly initialised copy of `model` with fused batch normalisations of this momentum."""

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer.__class__.from_config(layer.get_config())
        return FusedBatchNormalization.from_config({**layer.get_config(), "momentum": momentum})

    return keras.models.clone_model(model, clone_function=copy, recursive=True)
