"""The Keras architecture: EfficientNetB0 for the photo, an LSTM for the text, early fusion.

    photo -> EfficientNetB0 without top -> average pooling (1280), zero where there is no photo
    text  -> Embedding, id 0 masked     -> LSTM (128), zero where there is no text
    both  -> concatenate -> Dense 256 (the embedding) -> Dense, one logit per category

Training, the TensorFlow engine and the export build the model here, so a bundle carries weights and never a model
config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fashion_udf.schema import EMBEDDING_SIZE

if TYPE_CHECKING:
    import keras

TOKEN_EMBEDDING_SIZE = 128
LSTM_UNITS = 128
#: The smallest photo EfficientNetB0 takes. Rows without a photo are scored with it: the model multiplies their photo
#: features by zero, so the size changes nothing but the time.
BLANK_SIZE = 32


def build_model(categories: int, vocabulary_size: int, dropout: float = 0.0) -> keras.Model:
    """Build the multimodal model with fresh weights.

    Args:
        categories: number of categories K.
        vocabulary_size: number of token ids, with id 0 for padding.
        dropout: share of the fused features dropped in training; has no weights and no effect on inference.

    Returns:
        A model from `image` (uint8[n, h, w, 3] RGB), `image_present` (float32[n, 1], 1 or 0) and `token_ids`
        (int32[n, t], post-padded with 0) to a dict of `embedding` (float32[n, 256], unit length) and `logits`
        (float32[n, K]).
    """
    import keras
    from keras import layers

    image = keras.Input((None, None, 3), name="image", dtype="uint8")
    image_present = keras.Input((1,), name="image_present", dtype="float32")
    token_ids = keras.Input((None,), name="token_ids", dtype="int32")

    # The backbone rescales pixels itself: it takes 0..255. Its weights are loaded later, by name, or trained.
    backbone = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(None, None, 3), pooling="avg", name="efficientnetb0"
    )
    pixels = layers.Rescaling(1.0, name="to_float")(image)
    photo = layers.Multiply(name="photo")([backbone(pixels), image_present])

    tokens = layers.Embedding(vocabulary_size, TOKEN_EMBEDDING_SIZE, mask_zero=True, name="token_embedding")(token_ids)
    text = layers.LSTM(LSTM_UNITS, name="lstm")(tokens)

    fused = layers.Dropout(dropout, name="dropout")(layers.Concatenate(name="concatenate")([photo, text]))
    hidden = layers.Dense(EMBEDDING_SIZE, activation="swish", name="fusion")(fused)
    logits = layers.Dense(categories, name="classifier")(hidden)
    embedding = layers.UnitNormalization(name="unit_length")(hidden)
    return keras.Model([image, image_present, token_ids], {"embedding": embedding, "logits": logits}, name="fashion")


def use_normalisation(model: keras.Model) -> None:
    """Let the backbone of a model normalise pixels by the weights that it has now.

    Keras' layer computes with constants that it made of the weights it was built with. Assigning other weights changes
    nothing until it is told to make them again.
    """
    for layer in model.get_layer("efficientnetb0").layers:
        if layer.name.startswith("normalization"):
            layer.finalize_state()
