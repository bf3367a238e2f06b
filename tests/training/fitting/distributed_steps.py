"""Ten training steps on fixed batches, on the devices that the environment names; writes the weights.

python distributed_steps.py sgd|recipe OUTPUT.npz      with TF_CONFIG: a worker; with LOGICAL_DEVICES=2: mirrored
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from training.fitting import averaging
from training.fitting.losses import batch_loss
from training.fitting.recipe import Recipe
from training.fitting.step import CLIP_NORM, SUMS, make_optimizer, train_step
from training.fitting.strategy import choose_strategy, distribute, is_chief
from training.fitting.word_head import build_word_head

BATCH, STEPS, SIZE, VOCABULARY = 8, 10, 32, 64
LABELS, VALUES = 5, (3, 3)


def _rows() -> tuple[dict[str, Any], Any, Any]:
    random = np.random.default_rng(0)
    rows = BATCH * STEPS
    inputs = {
        "image": random.integers(0, 255, (rows, SIZE, SIZE, 3)).astype(np.uint8),
        "image_present": (random.random((rows, 1)) < 0.8).astype(np.float32),
        "token_ids": random.integers(2, VOCABULARY, (rows, 6)).astype(np.int32),
    }
    labels = random.integers(0, LABELS + 1, rows).astype(np.int32)
    return inputs, labels, random.integers(-1, 3, (rows, 2)).astype(np.int32)


def _frozen_model() -> Any:
    """A model whose batch normalisations and dropouts do not see how a batch was shared."""
    import keras

    from fashion_udf.model.architecture import build_model
    from training.fitting.batch_norm import fuse

    keras.utils.set_random_seed(1)
    model = fuse(build_model(LABELS, VOCABULARY, sum(VALUES)), momentum=0.9)
    for layer in [*model.layers, *model.get_layer("efficientnetb0").layers]:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


def main(name: str, output: Path) -> None:
    """Take ten steps and let the chief write the weights."""
    import keras
    import tensorflow as tf

    if devices := int(os.environ.get("LOGICAL_DEVICES", "0")):
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    strategy = choose_strategy()
    recipe = Recipe.model_validate(
        {"data": "none", "output": "none", "batch_size": BATCH, "stages": [{"image_size": SIZE, "epochs": 1}]}
        # Attributes that count much make the gradients large enough to be clipped.
        | {"loss_weights": {"words": 0.5, "attributes": 20.0}, "warmup_epochs": 0}
        | {"augmentation": {"flip": False, "shift": 0, "zoom": 0, "word_dropout": 0}}  # each replica draws its own
    )
    with strategy.scope():
        model = _frozen_model()
        optimizer = keras.optimizers.SGD(2.0) if name == "sgd" else make_optimizer(recipe, BATCH * STEPS)
        optimizer.epsilon = 1e-4  # by default a gradient that is rounding alone moves a weight as far as any other
        word_head = build_word_head(1280, VOCABULARY)
        optimizer.build([*model.trainable_variables, *word_head.trainable_variables])
    before = model.get_layer("fusion").kernel.numpy()
    loss_of = batch_loss(model, recipe, np.arange(LABELS, dtype=np.int32), VALUES, word_head)
    step = train_step(strategy, model, optimizer, recipe, loss_of, word_head)
    batches = distribute(
        strategy,
        BATCH,
        lambda size, index, count: tf.data.Dataset.from_tensor_slices(_rows()).batch(size).shard(count, index),
    )
    added = [
        step(tf.zeros(len(SUMS)), tf.constant([0, number]), tf.constant(1.0), *batch).numpy()
        for number, batch in enumerate(batches)
    ]
    losses, _, norms = np.transpose(added)
    assert len(losses) == STEPS and norms.min() > CLIP_NORM
    averaged = SimpleNamespace(weights=[keras.Variable(np.zeros_like(weight)) for weight in model.get_weights()])
    averaging.updater(averaged, model, decay=0.9)(STEPS)
    if is_chief(strategy):
        moved = np.abs(model.get_layer("fusion").kernel.numpy() - before).max()
        weights = [*model.get_weights(), *word_head.get_weights(), *map(np.asarray, averaged.weights)]
        np.savez(output, *weights, losses=losses, replicas=strategy.num_replicas_in_sync, moved=moved)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
