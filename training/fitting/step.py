"""One training step that gives the same result on any number of replicas, and the optimizer it applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .augmentation import augment
from .losses import BatchLoss, Targets
from .recipe import Recipe

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

#: Largest norm of the gradient of all weights together, summed over replicas.
CLIP_NORM = 1.0
#: What a step adds up: the loss and the gradient's norm before it is clipped, one for each step, and right categories.
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

    The sums are float32[3] and stay on the device: `SUMS` of the steps so far. The hits are of the rows' categories,
    with both inputs. `seed` int32[2] is that of the random changes of the rows, `crop` float32[] as in `augment`. The
    result does not depend on the number of replicas, but for the random changes and the parts of the loss that compare
    the rows of a replica (see `losses`): a replica's loss is divided by the global batch.
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
        optimizer.apply([gradient / replicas for gradient in gradients], variables)  # sums over replicas once more
        hits = tf.math.count_nonzero(tf.argmax(logits, 1, tf.int32) == labels, dtype=tf.float32)
        return tf.stack([loss, hits, norm / replicas])

    @tf.function
    def step(sums: Any, seed: Any, crop: Any, inputs: Any, labels: Any, attributes: Any) -> Any:
        added = strategy.run(replica_step, args=(seed, crop, inputs, labels, attributes))
        return sums + strategy.reduce("SUM", added, axis=None)

    return step


def _of_replica(seed: Any) -> Any:
    """Return the seed int32[2] of this replica; in a replica's context."""
    import tensorflow as tf

    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.random.experimental.stateless_fold_in(seed, replica)


def _branches(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the parts of the model before the fusion, from the photo and from the text."""
    import keras

    image, image_present, token_ids = model.inputs
    photo_branch = keras.Model([image, image_present], model.get_layer("photo").output)
    return photo_branch, keras.Model(token_ids, model.get_layer("text").output)


def _summed_and_clipped(gradients: Sequence[Any]) -> tuple[list[Any], Any]:
    """Return the gradients summed over replicas and clipped together, and their norm before; in a replica's context."""
    import tensorflow as tf

    # Dense: the rows of an embedding that come twice in a batch would count one by one in the norm.
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        dense = context.all_reduce(tf.distribute.ReduceOp.SUM, dense)
    clipped, norm = tf.clip_by_global_norm(dense, CLIP_NORM)
    return clipped, norm


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
    """Return AdamW with a warm-up and a cosine; biases and normalisations do not decay. The step clips gradients.

    Args:
        recipe: rates, and the stages that the schedule spans.
        rows: of a whole epoch.
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
