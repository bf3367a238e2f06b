"""The golden rows of a bundle: generated garments with titles, and the Keras model's outputs for them.

Many rows are generated. Rows on which the model is decisive in every precision are chosen, because all precisions agree
on them. So a host may only differ a little, and an engine that computes wrongly is detected.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model.engines import golden
from fashion_udf.model.engines.golden import Inputs
from fashion_udf.model.engines.prediction import Predict, Prediction, from_outputs
from fashion_udf.model.manifest import REFERENCE, Manifest
from fashion_udf.samples import catalog

from ..evaluation.views import joined, select

if TYPE_CHECKING:
    import keras

ROWS = 16
DRAWN = 128
_BATCH = 32  # rows
#: Minimum lead of the best category over the second one, in every precision, for a decisive row.
DECISIVE = 0.8
#: Of every four rows, two have photo and text, one has no text and one has no photo.
_HAS_TEXT = (True, True, False, True)
_HAS_PHOTO = (True, True, True, False)


def compute(model: keras.Model, manifest: Manifest, tokenizer: bytes, predicts: Mapping[str, Predict]) -> bytes:
    """Run the Keras model on generated products.

    Args:
        model: a model with the released weights.
        manifest: the manifest, for photo size, labels and calibration.
        tokenizer: the bundle's `tokenizer.json`.
        predicts: the engines, by `<engine> <precision>`. Their outputs in other precisions than f32 become the expected
            outputs.

    Returns:
        A Parquet file of `ROWS` rows with the columns of `golden.SCHEMA`.
    """
    texts = [_title(row) if _HAS_TEXT[row % 4] else None for row in range(DRAWN)]
    pictures = [_picture(row, manifest.image.size) if _HAS_PHOTO[row % 4] else None for row in range(DRAWN)]
    inputs = golden.prepare(texts, pictures, tokenizer, manifest)

    def with_keras(*arrays: NDArray[Any]) -> Prediction:
        outputs = model([*arrays], training=False)
        return from_outputs(lambda name: np.asarray(outputs[name]), manifest.attribute_values)

    expected = _run(with_keras, inputs)
    others = {key: _run(predict, inputs) for key, predict in predicts.items()}
    rows = _suited(expected, others.values(), inputs, manifest)
    chosen = golden.prepare([texts[row] for row in rows], [pictures[row] for row in rows], tokenizer, manifest)
    reduced = {key.split()[1]: other for key, other in others.items() if not key.endswith(f" {REFERENCE}")}
    predictions = {name: select(each, np.asarray(rows)) for name, each in {REFERENCE: expected, **reduced}.items()}
    return golden.to_parquet(
        [texts[row] for row in rows], [pictures[row] for row in rows], predictions, chosen, manifest
    )


def _suited(expected: Prediction, others: Iterable[Prediction], inputs: Inputs, manifest: Manifest) -> list[int]:
    """Return the indexes of `ROWS` rows of many categories: decisive rows first, then rows of the best agreement."""
    lead, best = _lead(expected, inputs, manifest)
    difference = np.zeros(len(lead))
    for other in others:
        other_lead, other_best = _lead(other, inputs, manifest)
        lead = np.where(other_best == best, np.minimum(lead, other_lead), -1.0)
        apart = np.abs(_values(other, inputs, manifest) - _values(expected, inputs, manifest)).max(axis=1)
        difference = np.maximum(difference, np.nan_to_num(apart, nan=np.inf))
    undecided = np.where(lead >= DECISIVE, 0.0, 1.0 - lead)
    taken: list[int] = []
    categories: Counter[int] = Counter()
    for place in range(ROWS):
        free = [row for row in range(place % 4, DRAWN, 4) if row not in taken]
        row = min(free, key=lambda at: (undecided[at], categories[int(best[at])], difference[at], at))
        taken.append(row)
        categories[int(best[row])] += 1
    return taken


def _lead(prediction: Prediction, inputs: Inputs, manifest: Manifest) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the lead of the best category over the second one, and the best category."""
    known = golden.interpreted(prediction, inputs, manifest).probabilities[:, :-1].astype(np.float64)
    second, first = np.sort(known, axis=1)[:, -2:].T
    return first - second, known.argmax(axis=1)


def _values(prediction: Prediction, inputs: Inputs, manifest: Manifest) -> NDArray[np.float32]:
    meaning = golden.interpreted(prediction, inputs, manifest)
    return np.column_stack([meaning.probabilities, prediction.embedding, meaning.attribute_probabilities])


def _run(predict: Predict, inputs: Inputs) -> Prediction:
    """Run a few rows at a time, because a large model needs much memory."""
    parts = (slice(at, at + _BATCH) for at in range(0, len(inputs.pixels), _BATCH))
    return joined([predict(inputs.pixels[at], inputs.image_present[at], inputs.token_ids[at]) for at in parts])


def _title(row: int) -> str:
    category, draws = _category(row)
    people, nouns = catalog.TITLES[category]
    return " ".join(str(draws.choice(words)) for words in (people, list(catalog.COLOURS), nouns))


def _picture(row: int, size: int) -> bytes:
    category, draws = _category(row)
    file = io.BytesIO()
    catalog.garment(category, draws, size).save(file, "PNG")
    return file.getvalue()


def _category(row: int) -> tuple[str, np.random.Generator]:
    draws = np.random.default_rng(row)
    return str(draws.choice(catalog.CATEGORIES)), draws
