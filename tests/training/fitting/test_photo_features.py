"""Rows without a photo in a training step: they cost nothing, and do not count in the batch's normalisation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.fitting.step import _photo_features


@pytest.fixture
def branch() -> keras.Model:
    """A photo branch that normalises by its batch, and without the chance that EfficientNet drops parts by."""
    image, image_present = keras.Input((None, None, 3)), keras.Input((1,))
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    normalised = keras.layers.BatchNormalization()(keras.layers.Dense(8)(means))
    return keras.Model([image, image_present], keras.layers.Multiply()([normalised, image_present]))


def _inputs(*present: float) -> dict[str, tf.Tensor]:
    pixels = np.random.default_rng(0).integers(0, 256, (len(present), 32, 32, 3))
    return {"image": tf.constant(pixels, tf.uint8), "image_present": tf.constant([[value] for value in present])}


def test_features_are_those_of_a_batch_of_the_photos_alone(branch: keras.Model) -> None:
    mixed = _inputs(1.0, 0.0, 1.0, 0.0)
    photos = {name: tf.gather(values, [0, 2]) for name, values in mixed.items()}
    expected = np.asarray(_photo_features(branch, photos))
    features = np.asarray(_photo_features(branch, mixed))
    assert not features[[1, 3]].any()
    np.testing.assert_allclose(features[[0, 2]], expected, atol=1e-4)


def test_a_batch_without_any_photo_has_no_features(branch: keras.Model) -> None:
    features = np.asarray(_photo_features(branch, _inputs(0.0, 0.0, 0.0)))
    assert features.shape == (3, 8) and not features.any()
