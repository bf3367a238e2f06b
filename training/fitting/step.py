"""One training step that gives the same result on any number of replicas, and the optimizer it applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fashion_udf.model.tokenizer import PADDING_ID

from .recipe import Recipe
from .word_head import word_loss

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def train_step(
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recipe: Recipe,
    word_head: keras.layers.Layer | None = None,
) -> Any:
    """Return a compiled step over a distributed batch: (inputs, labels int32[n]) -> summed loss, hits with both inputs.

    Each row is learned three ways, with both inputs, by the photo alone and by the text alone: the branches, nearly all
    of the work, run once. The loss of a replica is divided by the global batch, and `optimizer.apply` sums gradients
    over replicas, so the result does not depend on their number. With a `word_head` the photo also names the title's
    words.
    """
    import tensorflow as tf

    loss_of = _modality_loss(model, recipe, word_head)
    variables = [*model.trainable_variables, *(word_head.trainable_variables if word_head else ())]

    def replica_step(inputs: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss, logits = loss_of(inputs, labels)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32))

    @tf.function
    def step(inputs: Any, labels: Any) -> tuple[Any, Any]:
        loss, hits = strategy.run(replica_step, args=(inputs, labels))
        return strategy.reduce("SUM", loss, axis=None), strategy.reduce("SUM", hits, axis=None)

    return step


def _modality_loss(model: keras.Model, recipe: Recipe, word_head: keras.layers.Layer | None) -> Any:
    """Return a function (inputs, labels int32[n]) -> weighted loss, logits float32[n, K] with both inputs."""
    import keras
    import tensorflow as tf

    image, image_present, token_ids = model.inputs
    photo_branch = keras.Model([image, image_present], model.get_layer("photo").output)
    text_branch = keras.Model(token_ids, model.get_layer("lstm").output)
    head = keras.Model(model.get_layer("concatenate").output, model.output["logits"])
    categories, smoothing = model.get_layer("classifier").units, recipe.label_smoothing
    weights = recipe.loss_weights
    total = recipe.batch_size * (weights.both + weights.image + weights.text + weights.words)

    def loss(inputs: Any, labels: Any) -> tuple[Any, Any]:
        photo = _photo_features(photo_branch, inputs)
        text = text_branch(inputs["token_ids"], training=True)
        no_photo, no_text = tf.zeros_like(photo), tf.zeros_like(text)
        fused = tf.concat([tf.concat(pair, 1) for pair in [(photo, text), (photo, no_text), (no_photo, text)]], 0)
        logits = tf.cast(head(fused, training=True), tf.float32)  # bfloat16 on some GPUs
        has_photo = inputs["image_present"][:, 0]
        has_text = tf.cast(tf.reduce_any(inputs["token_ids"] != PADDING_ID, 1), tf.float32)
        counted = [weights.both * tf.ones_like(has_photo), weights.image * has_photo, weights.text * has_text]
        targets = tf.one_hot(labels, categories) * (1 - smoothing) + smoothing / categories
        losses = tf.nn.softmax_cross_entropy_with_logits(tf.tile(targets, [3, 1]), logits)
        summed = tf.reduce_sum(losses * tf.concat(counted, 0))
        if word_head:
            summed += weights.words * tf.reduce_sum(word_loss(word_head(photo), inputs["token_ids"]) * has_photo)
        return summed / total, logits[: tf.shape(labels)[0]]

    return loss


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
