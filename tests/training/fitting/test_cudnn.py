"""Where Keras would give the LSTM to cuDNN, as with a GPU, rows without text pass: cuDNN refuses them.

Forced on a CPU, where the kernel is not: whatever would call it fails.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from fashion_udf.model.architecture import build_model  # noqa: E402
from training.fitting.losses import batch_loss  # noqa: E402
from training.fitting.recipe import Recipe  # noqa: E402
from training.fitting.step import make_optimizer, train_step  # noqa: E402
from training.release import openvino_ir  # noqa: E402

SIZE, VOCABULARY, LABELS = 32, 64, 3


@pytest.fixture(autouse=True)
def a_gpu_that_keras_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras  # noqa: F401

    # By its place in sys.modules: the package has a function of that name too.
    monkeypatch.setattr(sys.modules["keras.src.backend.tensorflow.rnn"], "_is_gpu_available", lambda: True)


@pytest.fixture
def model() -> Any:
    return build_model(LABELS, VOCABULARY)


def _inputs() -> dict[str, Any]:
    random = np.random.default_rng(0)
    token_ids = random.integers(2, VOCABULARY, (4, 6)).astype(np.int32)
    token_ids[0] = 0  # a row without text
    token_ids[1, 3:] = 0
    image = random.integers(0, 255, (4, SIZE, SIZE, 3)).astype(np.uint8)
    return {"image": image, "image_present": np.ones((4, 1), np.float32), "token_ids": token_ids}


def test_the_simulation_meets_cudnn_with_the_layer_as_keras_makes_it() -> None:
    import keras

    layer = keras.layers.LSTM(4)
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.UnimplementedError)):
        tf.function(lambda states: layer(states))(tf.zeros([2, 3, 4]))


def test_a_training_step_takes_rows_without_text(model: Any) -> None:
    recipe = Recipe.model_validate(
        {"data": "none", "output": "none", "batch_size": 4, "stages": [{"image_size": SIZE, "epochs": 1}]}
    )
    optimizer = make_optimizer(recipe, 8)
    optimizer.build(model.trainable_variables)
    loss_of = batch_loss(model, recipe, np.arange(LABELS, dtype=np.int32), [])
    step = train_step(tf.distribute.get_strategy(), model, optimizer, recipe, loss_of)
    labels, attributes = np.asarray([0, 1, 2, 0], np.int32), np.zeros((4, 0), np.int32)
    sums = step(tf.zeros(3), tf.constant([1, 2]), tf.constant(1.0), _inputs(), labels, attributes)
    assert np.isfinite(sums.numpy()).all()


def test_validation_and_the_engine_take_rows_without_text(model: Any) -> None:
    forward = tf.function(lambda *inputs: model(list(inputs), training=False))
    outputs = forward(*map(tf.constant, _inputs().values()))
    assert np.isfinite(outputs["logits"].numpy()).all()


def test_the_export_names_no_kernel_of_cudnn(model: Any) -> None:
    assert b"Loop" in openvino_ir.convert(model)["openvino/model.xml"]
