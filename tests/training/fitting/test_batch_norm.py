"""Fused batch normalisation: the same layer as Keras' to every caller, in one kernel."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from training.fitting.batch_norm import FusedBatchNormalization, fuse  # noqa: E402


def _model() -> object:
    photo = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(name="norm")], name="inner")
    return keras.Model(photo, keras.layers.Dense(2, name="dense")(inner(photo)))


def test_a_fused_model_has_the_same_weights_by_the_same_names() -> None:
    model = _model()
    fused = fuse(model, momentum=0.9)
    assert [weight.path for weight in fused.weights] == [weight.path for weight in model.weights]
    norm = fused.get_layer("inner").get_layer("norm")
    assert isinstance(norm, FusedBatchNormalization)
    assert norm.momentum == 0.9


@pytest.mark.parametrize("training", [True, False])
def test_a_fused_step_gives_what_keras_gives(training: bool) -> None:
    batch = np.random.default_rng(0).normal(3, 2, (16, 9, 9, 4)).astype(np.float32)
    fused, plain = FusedBatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for layer in (fused, plain):
        layer.build(batch.shape)
    for _ in range(3):
        outputs = [np.asarray(layer(batch, training=training)) for layer in (fused, plain)]
        np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(fused.moving_mean, plain.moving_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fused.moving_variance, plain.moving_variance, rtol=2e-3)


def test_a_frozen_layer_keeps_its_running_mean() -> None:
    layer = FusedBatchNormalization()
    layer.build((None, 2, 2, 3))
    layer.trainable = False
    outputs = layer(np.full((4, 2, 2, 3), 5.0, np.float32), training=True)
    np.testing.assert_allclose(outputs, 5.0 / np.sqrt(1 + layer.epsilon), rtol=1e-6)
    assert not np.asarray(layer.moving_mean).any()
