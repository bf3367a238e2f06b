"""The loss of a batch, from the features of its photos and texts. It uses `keras.ops`, for any backend.

Each row is learned in up to four ways. They share the two branches, which are nearly all of the work:

    both      photo and text -> the category
    image     photo alone    -> the category
    text      text alone     -> the category
    exchange  the photo of another row and the text -> "another kind" if their families differ, otherwise the category
              of the text

The first three also learn the attributes, from the embedding, and which rows of the batch are alike. The exchange also
prevents a model from relying on memorised photos: a title distinguishes a top from a T-shirt better than a photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model.tokenizer import PADDING_ID

from .recipe import LossWeights, Recipe
from .word_head import word_loss

if TYPE_CHECKING:
    import keras

#: Divisor of cosines before the softmax over the other rows (as in Khosla et al. 2020, "Supervised Contrastive
#: Learning").
SIMILARITY_TEMPERATURE = 0.1
#: Each shared attribute multiplies the weight of two rows of a category by exp of this value.
SHARED_ATTRIBUTE = 1.5
#: The same product in another way counts like this many products that share every attribute.
SAME_PRODUCT = 8.0


@dataclass(frozen=True)
class Targets:
    """The targets of the rows of a batch."""

    labels: Any  # int32[n], K for "another kind"
    attributes: Any  # int32[n, A], -1 if the value is unknown or the text may name it


#: (photo features [n, p], text features [n, q], token ids int32[n, t], has a photo float32[n], targets) -> the loss
#: summed over rows, and the logits float32[n, K + 1] with both inputs.
BatchLoss = Callable[[Any, Any, Any, Any, Targets], tuple[Any, Any]]


def batch_loss(
    model: keras.Model,
    recipe: Recipe,
    families: NDArray[np.int32],
    sizes: Sequence[int],
    word_head: keras.layers.Layer | None = None,
    adjustment: NDArray[np.float32] | None = None,
) -> BatchLoss:
    """Return the loss of a batch.

    Args:
        model: a model of `fashion_udf.model.architecture.build_model`.
        recipe: weights of the parts, and the label smoothing.
        families: int32[K], the family of each category. A photo and a text of one family may show the same product.
        sizes: number of values of each attribute.
        word_head: predicts the title's words from the photo (see `word_head`); None without this task.
        adjustment: float32[K + 1], added to the logits in training (see `logit_adjustment`).
    """
    import keras
    from keras import ops

    head = keras.Model(model.get_layer("concatenate").output, model.output)
    categories, weights = len(families), recipe.loss_weights
    family_of, added = np.append(families, [-1]).astype(np.int32), 0.0 if adjustment is None else adjustment

    def loss(photo: Any, text: Any, token_ids: Any, has_photo: Any, targets: Targets) -> tuple[Any, Any]:
        has_text = ops.cast(ops.any(token_ids != PADDING_ID, axis=1), "float32")
        outputs = head(_four_ways(photo, text), training=True)
        logits = ops.cast(outputs["logits"], "float32")  # bfloat16 on some GPUs
        exchanged = ops.where(_differ_from_previous(ops.take(family_of, targets.labels)), categories, targets.labels)
        counted = _counted(weights, has_photo, has_text)
        labels = ops.concatenate([*[targets.labels] * 3, exchanged])
        each = cross_entropy(logits + added, labels, recipe.label_smoothing)
        summed = ops.sum(each * ops.concatenate(counted))
        present = [has_photo * has_text, has_photo, has_text]
        summed += _beside_the_category(outputs, targets, weights, sizes, categories, counted[:3], present)
        summed += weights.words * ops.sum(word_loss(word_head(photo), token_ids) * has_photo) if word_head else 0.0
        return summed, logits[: ops.shape(token_ids)[0]]

    return loss


def _counted(weights: LossWeights, has_photo: Any, has_text: Any) -> list[Any]:
    """Return the weight of each row in each of the four ways, float32[n] each."""
    from keras import ops

    alone = [weights.image * has_photo, weights.text * has_text]
    exchanged = weights.exchange * has_text * ops.roll(has_photo, 1)
    return [weights.both * ops.maximum(has_photo, has_text), *alone, exchanged]


def _four_ways(photo: Any, text: Any) -> Any:
    """Return the fused features of n rows in each of the four ways, [4 n, p + q]."""
    from keras import ops

    no_photo, no_text = ops.zeros_like(photo), ops.zeros_like(text)
    ways = [(photo, text), (photo, no_text), (no_photo, text), (ops.roll(photo, 1, axis=0), text)]
    return ops.concatenate([ops.concatenate(pair, 1) for pair in ways], 0)


def _beside_the_category(
    outputs: Any,
    targets: Targets,
    weights: LossWeights,
    sizes: Sequence[int],
    categories: int,
    counted: Sequence[Any],
    present: Sequence[Any],
) -> Any:
    """Return the weighted losses of the attributes and of likeness, summed over the first three ways.

    `counted` has the weights float32[n] of the rows for each way. `present` is 1 if a row has the inputs of the way.
    """
    from keras import ops

    summed, rows = 0.0, ops.shape(targets.labels)[0]
    if sizes:
        values = ops.cast(outputs["attributes"], "float32")[: 3 * rows]
        known = ops.tile(targets.attributes, [3, 1])
        summed += weights.attributes * ops.sum(attribute_loss(values, known, sizes) * ops.concatenate(counted))
    if weights.alike:
        embedding = ops.cast(outputs["embedding"], "float32")[: 3 * rows]
        known_kind = ops.cast(targets.labels < categories, "float32")
        there = ops.concatenate([each * known_kind for each in present])
        summed += weights.alike * ops.sum(alike_loss(embedding, there, targets))
    return summed


def logit_adjustment(counts: Sequence[int], tau: float) -> NDArray[np.float32]:
    """Return the adjustment of the logits in training, so that rare categories are predicted too (Menon et al. 2021).

    The adjusted logits do not depend on the shares of the categories. "Another kind" counts like the mean row.

    Args:
        counts: number of training rows of each category, at least 1.
        tau: 0 has no effect; 1 removes the shares completely.

    Returns:
        float32[K + 1].
    """
    shares = np.asarray(counts, np.float64) / np.sum(counts)
    logarithms = np.log(shares)
    return (tau * np.append(logarithms, np.sum(shares * logarithms))).astype(np.float32)


def cross_entropy(logits: Any, labels: Any, smoothing: float = 0.0) -> Any:
    """Return float32[n]: the cross-entropy of labels int32[n] under logits float32[n, m]."""
    from keras import ops

    logarithms, m = ops.log_softmax(logits, axis=-1), logits.shape[-1]
    return -ops.sum(logarithms * (ops.one_hot(labels, m) * (1.0 - smoothing) + smoothing / m), axis=-1)


def attribute_loss(logits: Any, attributes: Any, sizes: Sequence[int]) -> Any:
    """Return float32[n]: the mean over all attributes of the cross-entropy, 0 for an unknown value.

    Args:
        logits: float32[n, V], attribute by attribute.
        attributes: int32[n, A]; -1 if unknown.
        sizes: number of values of each attribute, V in total.
    """
    from keras import ops

    total, start = 0.0, 0
    for index, size in enumerate(sizes):
        value = attributes[:, index]
        known = ops.cast(value >= 0, "float32")
        total += known * cross_entropy(logits[:, start : start + size], ops.maximum(value, 0))
        start += size
    return total / max(1, len(sizes))


def alike_loss(embedding: Any, present: Any, targets: Targets) -> Any:
    """Return float32[m]: the supervised contrastive loss (Khosla et al. 2020) of the embeddings.

    The positives of a row are the other rows of its category, with a larger weight for each shared attribute, and the
    same product in the other ways. The loss is the cross-entropy of these weights with the softmax of the cosines.

    Args:
        embedding: float32[m, d] of unit length, m = 3 n: n rows in each of three ways.
        present: float32[m], 1 if the row has the inputs of the way.
        targets: the targets of the n rows.
    """
    from keras import ops

    rows = ops.shape(targets.labels)[0]
    labels, attributes = ops.tile(targets.labels, [3]), ops.tile(targets.attributes, [3, 1])
    known = ops.expand_dims(attributes >= 0, 1)
    same = ops.equal(ops.expand_dims(attributes, 1), ops.expand_dims(attributes, 0)) & known
    shared = ops.sum(ops.cast(same, "float32"), axis=-1) - attributes.shape[-1]
    pairs = ops.expand_dims(present, 1) * ops.expand_dims(present, 0)
    itself = ops.eye(3 * rows)
    product = ops.tile(ops.eye(rows), [3, 3]) * pairs
    alike = ops.cast(ops.expand_dims(labels, 1) == ops.expand_dims(labels, 0), "float32")
    alike = (alike * ops.exp(SHARED_ATTRIBUTE * shared) + product * SAME_PRODUCT) * pairs * (1.0 - itself)
    cosines = ops.matmul(embedding, ops.transpose(embedding)) / SIMILARITY_TEMPERATURE
    cosines = cosines - 1e9 * (1.0 - pairs * (1.0 - itself))
    total = ops.sum(alike, axis=1)
    shares = alike / ops.expand_dims(ops.maximum(total, 1e-9), 1)
    return -ops.sum(ops.where(alike > 0, shares * ops.log_softmax(cosines, axis=-1), 0.0), axis=1)


def _differ_from_previous(families: Any) -> Any:
    """Return bool[n]: whether the previous row has another family. "Another kind" (-1) has no family."""
    from keras import ops

    return (families != ops.roll(families, 1)) | (families < 0)
