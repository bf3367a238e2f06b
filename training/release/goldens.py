"""The golden rows of a bundle: generated garments with titles, and the Keras model's answers for them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.model.engines import golden
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.manifest import Manifest
from fashion_udf.samples import catalog

if TYPE_CHECKING:
    import keras

ROWS = 16
#: Of every four rows two have photo and text, one has no text and one no photo: the rows run at start hold each twice.
_HAS_TEXT = (True, True, False, True)
_HAS_PHOTO = (True, True, True, False)


def compute(model: keras.Model, manifest: Manifest, tokenizer: bytes) -> bytes:
    """Run the Keras model on generated products.

    Args:
        model: with the weights that are released.
        manifest: gives photo size, labels and temperatures.
        tokenizer: the bundle's `tokenizer.json`.

    Returns:
        A Parquet file of `ROWS` rows with the columns of `golden.SCHEMA`.
    """
    texts = [_title(row) if _HAS_TEXT[row % 4] else None for row in range(ROWS)]
    pictures = [_picture(row, manifest.image.size) if _HAS_PHOTO[row % 4] else None for row in range(ROWS)]
    inputs = golden.prepare(texts, pictures, tokenizer, manifest)
    outputs = model([inputs.pixels, inputs.image_present, inputs.token_ids], training=False)
    prediction = Prediction(np.asarray(outputs["embedding"]), np.asarray(outputs["logits"]))
    probabilities = golden.probabilities(prediction, inputs, manifest)
    table = pa.table(
        {
            "text": texts,
            "image": pictures,
            "category": [manifest.labels[best] for best in probabilities.argmax(axis=1)],
            "embedding": list(prediction.embedding),
            "probabilities": list(probabilities),
        },
        schema=golden.SCHEMA,
    )
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def _title(row: int) -> str:
    return f"{list(catalog.COLOURS)[row % len(catalog.COLOURS)]} {catalog.CATEGORIES[row % len(catalog.CATEGORIES)]}"


def _picture(row: int, size: int) -> bytes:
    category = catalog.CATEGORIES[row % len(catalog.CATEGORIES)]
    file = io.BytesIO()
    catalog.garment(category, np.random.default_rng(row), size).save(file, "PNG")
    return file.getvalue()
