"""A second task in training: the photo alone names the words of its title.

A category is one fact of a photo; the title's words name colour, kind, pattern and for whom the product is. A network
without pretrained weights learns from these words what a few thousand category labels do not teach (Joulin et al. 2016,
"Learning Visual Features from Large Weakly Supervised Data", whose loss this is). Only training has this head; a bundle
does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fashion_udf.model.tokenizer import PADDING_ID, UNKNOWN_ID

if TYPE_CHECKING:
    import keras

#: Tokens of the text that count. A text begins with the title, whose words describe the photo; a description also has
#: words about delivery and care.
TITLE_TOKENS = 12


def build_word_head(photo_features: int, vocabulary_size: int) -> keras.layers.Layer:
    """Return a layer from the photo's features, float[n, photo_features], to one logit for each token id."""
    import keras

    head = keras.layers.Dense(vocabulary_size, name="words")
    head.build((None, photo_features))
    return head


def word_loss(logits: Any, token_ids: Any) -> Any:
    """Return the cross-entropy of the words of each row, all equally likely; 0 for a row without any.

    Args:
        logits: float[n, v], as `build_word_head` gives them.
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
