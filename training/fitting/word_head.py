"""A second task in training: predict the words of the title from the photo.

The title's words name colour, kind, pattern and customers, so that they teach more about a photo than its category.
This helps a network without pretrained weights (Joulin et al. 2016, "Learning Visual Features from Large Weakly
Supervised Data", with the same loss). Only training has this head; a bundle does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fashion_udf.model.tokenizer import PADDING_ID, UNKNOWN_ID

if TYPE_CHECKING:
    import keras

#: Number of tokens that count. A text starts with the title, whose words describe the photo. A description also has
#: words about delivery and care.
TITLE_TOKENS = 12


def build_word_head(photo_features: int, vocabulary_size: int) -> keras.layers.Layer:
    """Return a layer from the photo's features, float[n, photo_features], to a logit for each token id."""
    import keras

    head = keras.layers.Dense(vocabulary_size, name="words")
    head.build((None, photo_features))
    return head


def word_loss(logits: Any, token_ids: Any) -> Any:
    """Return the cross-entropy of the words of each row, all with equal weight; 0 for a row without words.

    Args:
        logits: float[n, v], the output of `build_word_head`.
        token_ids: int32[n, t].

    Returns:
        float32[n].
    """
    from keras import ops

    vocabulary_size = logits.shape[-1]
    present = ops.max(ops.one_hot(token_ids[:, :TITLE_TOKENS], vocabulary_size), axis=1)  # a word counts once
    words = ops.arange(vocabulary_size)
    present *= ops.cast((words != PADDING_ID) & (words != UNKNOWN_ID), "float32")
    targets = present / ops.maximum(ops.sum(present, axis=1, keepdims=True), 1.0)
    return -ops.sum(targets * ops.log_softmax(ops.cast(logits, "float32"), axis=-1), axis=1)
