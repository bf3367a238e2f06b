"""The training step, which gives the same result on any number of replicas, and its optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .augmentation import augment
from .losses import BatchLoss, Targets
from .recipe import Recipe

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

#: Maximum norm of the gradient of all weights together, summed over replicas.
CLIP_NORM = 1.0
#: Sums of a step: the loss, the number of right categories, and the gradient's norm before clipping.
SUMS = ("loss", "hits", "gradient_norm")


def train_step(
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recipe: Recipe,
    loss_of: BatchLoss,
    word_head: keras.layers.Layer | None = None,
) -> Any:
    """Return a compiled step over a distributed batch: (sums, seed, crop, inputs, labels, attributes) -> sums.

    The sums float32[3] are `SUMS` of the steps so far and stay on the device. The hits count categories that are right
    with both inputs. `seed` int32[2] is the seed of the random changes, `crop` float32[] is that of `augment`. Except
    for the random changes and for the parts of the loss that compare the rows of a replica (see `losses`), the result
    does not depend on the number of replicas: a replica's loss is divided by the global batch size.
    """
    import tensorflow as tf

    variables = [*model.trainable_variables, *(word_head.trainable_variables if word_head else ())]
    photo_branch, text_branch = _branches(model)
    replicas, total = strategy.num_replicas_in_sync, recipe.batch_size * recipe.loss_weights.ways

    def replica_step(seed: Any, crop: Any, rows: Any, labels: Any, attributes: Any) -> Any:
        inputs = augment(rows, _of_replica(seed), recipe.augmentation, recipe.vocabulary_size, crop)
        token_ids, has_photo = inputs["token_ids"], inputs["image_present"][:, 0]
        with tf.GradientTape() as tape:
            photo, text = _photo_features(photo_branch, inputs), text_branch(token_ids, training=True)
            loss, logits = loss_of(photo, text, token_ids, has_photo, Targets(labels, attributes))
            loss /= total
        gradients, norm = _summed_and_clipped(tape.gradient(loss, variables))
        optimizer.apply([gradient / replicas for gradient in gradients], variables)  # `apply` sums over replicas again
        hits = tf.math.count_nonzero(tf.argmax(logits, 1, tf.int32) == labels, dtype=tf.float32)
        return tf.stack([loss, hits, norm / replicas])

    @tf.function
    def step(sums: Any, seed: Any, crop: Any, inputs: Any, labels: Any, attributes: Any) -> Any:
        added = strategy.run(replica_step, args=(seed, crop, inputs, labels, attributes))
        return sums + strategy.reduce("SUM", added, axis=None)

    return step


def _of_replica(seed: Any) -> Any:
    """Return the seed int32[2] of this replica. Call it in a replica's context."""
    import tensorflow as tf

    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.random.experimental.stateless_fold_in(seed, replica)


def _branches(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the parts of the model before the fusion: for the photo and for the text."""
    import keras

    image, image_present, token_ids = model.inputs
    photo_branch = keras.Model([image, image_present], model.get_layer("photo").output)
    return photo_branch, keras.Model(token_ids, model.get_layer("text").output)


def _summed_and_clipped(gradients: Sequence[Any]) -> tuple[list[Any], Any]:
    """Return the gradients, summed over replicas and clipped, and their norm before. Call it in a replica's context."""
    import tensorflow as tf

    # Dense, because the norm of a sparse gradient would count repeated rows of an embedding separately.
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        dense = context.all_reduce(tf.distribute.ReduceOp.SUM, dense)
    clipped, norm = tf.clip_by_global_norm(dense, CLIP_NORM)
    return clipped, norm


def _photo_features(photo_branch: keras.Model, inputs: Any) -> Any:
    """Return float[n, 1280], zero without a photo. The branch runs only on rows with a photo.

    So a row without a photo costs no time, and its white square does not affect the batch normalisation.
    """
    import tensorflow as tf

    rows = tf.where(inputs["image_present"][:, 0] > 0)
    rows = tf.cond(
        tf.size(rows) > 0, lambda: rows, lambda: tf.zeros([1, 1], tf.int64)
    )  # the branch needs at least one row
    taken = [tf.gather_nd(inputs[name], rows) for name in ("image", "image_present")]
    features = photo_branch(taken, training=True)
    count = tf.shape(inputs["image_present"], tf.int64)[0]
    return tf.scatter_nd(rows, features, [count, features.shape[-1]])


def make_optimizer(recipe: Recipe, rows: int) -> keras.optimizers.Optimizer:
    """Return AdamW with a warm-up and a cosine schedule, without decay of biases and normalisations.

    The step clips the gradients.

    Args:
        recipe: rates, and the stages of the schedule.
        rows: number of rows of a whole epoch.
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
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
