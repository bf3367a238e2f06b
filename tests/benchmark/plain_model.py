"""The model of the plain job: Keras with the bundle's weights, photos decoded in full, texts padded to 100 tokens."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fashion_udf.model import tokenizer
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.manifest import REFERENCE
from fashion_udf.schema import Modality

BATCH_ROWS = 32

#: pixels uint8[n, size, size, 3] and token ids int32[n, 100] to embedding float32[n, 256] and probabilities [n, K].
Predict = Callable[[NDArray[np.uint8], NDArray[np.int32]], tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True)
class Parts:
    """What the driver broadcasts."""

    weights: bytes  # safetensors
    tokenizer: bytes
    labels: tuple[str, ...]
    vocabulary_size: int
    attribute_values: int
    image_size: int
    temperature: float


def parts(bundle: Bundle) -> Parts:
    """Return what the plain job needs of a bundle."""
    return Parts(
        weights=bundle.files["weights.safetensors"],
        tokenizer=bundle.files["tokenizer.json"],
        labels=tuple(bundle.manifest.labels),
        vocabulary_size=bundle.manifest.text.vocabulary_size,
        attribute_values=bundle.manifest.attribute_values,
        image_size=bundle.manifest.image.size,
        temperature=bundle.manifest.calibration[REFERENCE][Modality.BOTH.value].category.temperature,
    )


def load(parts: Parts) -> Predict:
    """Build the model in this process, one thread for each operation: as many tasks run as there are cores."""
    import tensorflow as tf

    from fashion_udf.model.architecture import build_model
    from fashion_udf.model.engines.tensorflow import load_weights

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = build_model(len(parts.labels), parts.vocabulary_size, parts.attribute_values)
    load_weights(model, parts.weights)

    signature = [
        tf.TensorSpec([None, parts.image_size, parts.image_size, 3], tf.uint8),
        tf.TensorSpec([None, 1], tf.float32),
        tf.TensorSpec([None, tokenizer.MAX_TOKENS], tf.int32),
    ]

    @tf.function(input_signature=signature)
    def infer(pixels: Any, present: Any, token_ids: Any) -> Any:
        outputs = model([pixels, present, token_ids], training=False)
        # The last one is of another kind than all categories.
        return outputs["embedding"], tf.nn.softmax(outputs["logits"] / parts.temperature)[:, :-1]

    def predict(
        pixels: NDArray[np.uint8], token_ids: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        present = np.ones((len(pixels), 1), np.float32)
        embedding, probabilities = infer(pixels, present, token_ids)
        return embedding.numpy(), probabilities.numpy()

    return predict


def decode(data: bytes, size: int) -> NDArray[np.uint8]:
    """Decode a photo at its full size, then make it `size` x `size` pixels on white."""
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(ImageOps.pad(upright, (size, size), color="white"))


def tokenize(reader: Any, titles: Sequence[str], descriptions: Sequence[str]) -> NDArray[np.int32]:
    """Return int32[n, 100], padded with 0."""
    texts = [tokenizer.product_text(*pair) for pair in zip(titles, descriptions, strict=True)]
    ids = tokenizer.encode(reader, texts)
    return np.pad(ids, ((0, 0), (0, tokenizer.MAX_TOKENS - ids.shape[1])))


def results(
    labels: Sequence[str], embedding: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Return category, confidence and embedding of n rows."""
    best = probabilities.argmax(axis=1)
    return {
        "category": np.asarray(labels, dtype=object)[best],
        "confidence": probabilities[np.arange(len(best)), best],
        "embedding": embedding,
    }


def frame(columns: dict[str, NDArray[Any]]) -> pd.DataFrame:
    """Return `results` as pandas, the embedding as one array a row."""
    return pd.DataFrame({**columns, "embedding": list(columns["embedding"])})


class Scorer:
    """Tokenizer and model, loaded once per process."""

    def __init__(self, parts: Parts) -> None:
        """Load the model."""
        self._parts = parts
        self._tokenizer = tokenizer.tokenizer_from_bytes(parts.tokenizer)
        self._predict = load(parts)

    def score(
        self, titles: Sequence[str], descriptions: Sequence[str], photos: Sequence[bytes]
    ) -> dict[str, NDArray[Any]]:
        """Return category, confidence and embedding of at most a few dozen rows."""
        pixels = np.stack([decode(photo, self._parts.image_size) for photo in photos])
        outputs = self._predict(pixels, tokenize(self._tokenizer, titles, descriptions))
        return results(self._parts.labels, *outputs)
