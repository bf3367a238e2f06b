"""The Keras architecture: EfficientNetB0 for the photo, an LSTM for the text, early fusion.

    photo -> EfficientNetB0 without top -> average pooling (1280), zero without a photo
    text  -> Embedding, id 0 masked     -> LSTM (128), maximum of its states, zero without a text
    both  -> concatenate -> Dense 256   -> Dense: a logit for each category, and one for "another kind of product"
                         -> unit length (the embedding) -> Dense: a logit for each value of each attribute

Training, the TensorFlow engine and the export all build the model with this module, so that a bundle stores weights and
no model config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fashion_udf.schema import EMBEDDING_SIZE

if TYPE_CHECKING:
    import keras

TOKEN_EMBEDDING_SIZE = 128
LSTM_UNITS = 128
#: The smallest photo that EfficientNetB0 accepts, for rows without a photo: the model multiplies their photo features
#: by zero, so that a small size only saves time.
BLANK_SIZE = 32
#: A softmax over a few dozen values needs logits of several units; the components of the embedding are about 1/16.
EMBEDDING_SCALE = 16.0


def build_model(categories: int, vocabulary_size: int, values: int = 0, dropout: float = 0.0) -> keras.Model:
    """Build the multimodal model with fresh weights.

    The attributes depend on the embedding only, so that products with near embeddings share more than their category.

    Args:
        categories: number of categories K.
        vocabulary_size: number of token ids, with id 0 for padding.
        values: number of values V of all attributes together. 0 means a model without attributes.
        dropout: share of the fused features that are dropped in training. It does not affect inference.

    Returns:
        A model from `image` (uint8[n, h, w, 3] RGB), `image_present` (float32[n, 1], 1 or 0) and `token_ids`
        (int32[n, t], post-padded with 0) to a dict of `embedding` (float32[n, 256], unit length), `logits`
        (float32[n, K + 1], the last one for a product of another kind, or a photo and a text of different products)
        and, with attributes, `attributes` (float32[n, V], attribute by attribute).
    """
    import keras
    from keras import layers

    image = keras.Input((None, None, 3), name="image", dtype="uint8")
    image_present = keras.Input((1,), name="image_present", dtype="float32")
    token_ids = keras.Input((None,), name="token_ids", dtype="int32")

    # The backbone rescales pixels from 0..255 itself. Its weights are loaded later, by name, or trained.
    backbone = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(None, None, 3), pooling="avg", name="efficientnetb0"
    )
    pixels = layers.Rescaling(1.0, name="to_float")(image)
    photo = layers.Multiply(name="photo")([backbone(pixels), image_present])

    text = _text_features(token_ids, vocabulary_size)
    fused = layers.Dropout(dropout, name="dropout")(layers.Concatenate(name="concatenate")([photo, text]))
    hidden = layers.Dense(EMBEDDING_SIZE, activation="swish", name="fusion")(fused)
    embedding = _unit_length(hidden)
    outputs = {"embedding": embedding, "logits": layers.Dense(categories + 1, name="classifier")(hidden)}
    if values:
        scaled = layers.Rescaling(EMBEDDING_SCALE, name="scaled_embedding")(embedding)
        outputs["attributes"] = layers.Dense(values, name="attributes")(scaled)
    return keras.Model([image, image_present, token_ids], outputs, name="fashion")


def _text_features(token_ids: Any, vocabulary_size: int) -> Any:
    """Return the maximum of the LSTM's states over a text's tokens, by unit: [n, u], zero for a text without tokens.

    The last state alone depended too much on the end of a text; with the maximum, every token counts.
    """
    from keras import layers, ops

    tokens = layers.Embedding(vocabulary_size, TOKEN_EMBEDDING_SIZE, mask_zero=True, name="token_embedding")(token_ids)
    # use_cudnn: NVIDIA's kernel refuses a row without any token.
    states = layers.LSTM(LSTM_UNITS, return_sequences=True, use_cudnn=False, name="lstm")(tokens)
    is_token = ops.cast(ops.expand_dims(ops.not_equal(token_ids, 0), -1), states.dtype)
    # The states of an LSTM lie between -1 and 1, so that padding, at -2, is never the maximum.
    largest = ops.max(states * is_token + (is_token - 1.0) * 2.0, axis=1)
    return layers.Multiply(name="text")([largest, ops.max(is_token, axis=1)])


def _unit_length(hidden: Any) -> Any:
    """Divide rows by their length. Keras' UnitNormalization has no gradient for a row of zeros."""
    from keras import layers, ops

    length = ops.sqrt(ops.sum(ops.square(hidden), axis=-1, keepdims=True) + 1e-12)
    return layers.Multiply(name="unit_length")([hidden, 1.0 / length])


def use_normalisation(model: keras.Model) -> None:
    """Update the pixel normalisation of a model's backbone to its current weights.

    Keras' layer computes with constants, which it derives from its weights when it is built. New weights have no effect
    until the constants are derived again.
    """
    for layer in model.get_layer("efficientnetb0").layers:
        if layer.name.startswith("normalization"):
            layer.finalize_state()
