"""One training step that gives the same result on any number of replicas, and the optimizer it applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .losses import BatchLoss, Targets
from .recipe import Recipe

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def train_step(
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recipe: Recipe,
    loss_of: BatchLoss,
    word_head: keras.layers.Layer | None = None,
) -> Any:
    """Return a compiled step over a distributed batch: (inputs, labels, attributes) -> summed loss, hits.

    The hits are of the rows' categories, with both inputs. The loss of a replica is divided by the global batch, and
    `optimizer.apply` sums gradients over replicas, so the result does not depend on their number, but for the parts of
    the loss that compare the rows of a replica (see `losses`).
    """
    import keras
    import tensorflow as tf

    variables = [*model.trainable_variables, *(word_head.trainable_variables if word_head else ())]
    image, image_present, token_ids = model.inputs
    photo_branch = keras.Model([image, image_present], model.get_layer("photo").output)
    text_branch = keras.Model(token_ids, model.get_layer("text").output)
    weights = recipe.loss_weights
    total = recipe.batch_size * (weights.both + weights.image + weights.text + weights.words)

    def replica_step(inputs: Any, labels: Any, attributes: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            photo = _photo_features(photo_branch, inputs)
            text = text_branch(inputs["token_ids"], training=True)
            has_photo = inputs["image_present"][:, 0]
            summed, logits = loss_of(photo, text, inputs["token_ids"], has_photo, Targets(labels, attributes))
            loss = summed / total
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32))

    @tf.function
    def step(inputs: Any, labels: Any, attributes: Any) -> tuple[Any, Any]:
        loss, hits = strategy.run(replica_step, args=(inputs, labels, attributes))
        return strategy.reduce("SUM", loss, axis=None), strategy.reduce("SUM", hits, axis=None)

    return step


def _photo_features(photo_branch: keras.Model, inputs: Any) -> Any:
    """Return float[n, 1280], zero where there is no photo: the branch runs on the rows that have one.

    A row without a photo costs nothing, and its white square does not count in the batch's normalisation.
    """
    import tensorflow as tf

    rows = tf.where(inputs["image_present"][:, 0] > 0)
    rows = tf.cond(tf.size(rows) > 0, lambda: rows, lambda: tf.zeros([1, 1], tf.int64))  # no mean of nothing
    taken = [tf.gather_nd(inputs[name], rows) for name in ("image", "image_present")]
    features = photo_branch(taken, training=True)
    count = tf.shape(inputs["image_present"], tf.int64)[0]
    return tf.scatter_nd(rows, features, [count, features.shape[-1]])


def make_optimizer(recipe: Recipe, rows: int) -> keras.optimizers.Optimizer:
    """Return AdamW with a warm-up and a cosine; biases and normalisations do not decay.

    Args:
        recipe: rates, and the stages that the schedule spans.
        rows: in the training split.
    """
    import keras

    warmup = int(recipe.warmup_epochs * (rows // recipe.batch_size))
    total = sum(stage.epochs * stage.steps(rows, recipe.batch_size) for stage in recipe.stages)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate * 0.01,
        decay_steps=max(total - warmup, 1),
        alpha=recipe.final_rate,
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
