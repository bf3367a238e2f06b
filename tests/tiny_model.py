"""A small untrained model, exported once per test session: three categories, two attributes, photos of 64 pixels."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fashion_udf.model.architecture import build_model
from fashion_udf.model.manifest import Calibrated, Calibration
from fashion_udf.model.tokenizer import train_tokenizer
from tests.evaluation_figures import measured
from training.export import Facts, export

if TYPE_CHECKING:
    import keras

LABELS = ("Dresses", "Shirts", "Shoes")
#: The values of each attribute.
ATTRIBUTES = {"gender": ("Men", "Women"), "base_colour": ("Red", "Navy Blue", "Black")}
#: The families that have more than one category.
TAXONOMY = {"Upper garments": ("Dresses", "Shirts")}
IMAGE_SIZE = 64
VOCABULARY_SIZE = 300
_TEXTS = [
    f"{colour} {garment} for {who}" for colour in ("Red", "Navy blue") for garment in LABELS for who in ("men", "women")
]

_kept = tempfile.TemporaryDirectory(prefix="tiny-model-")


@functools.cache
def directory() -> Path:
    """Export the model on first use, in about 20 seconds, and return its directory."""
    path = Path(_kept.name) / "bundle"
    export(model(), facts(), path)
    return path


def model() -> keras.Model:
    """Build the model with the same weights every time."""
    import keras

    keras.utils.set_random_seed(3)
    made = build_model(len(LABELS), VOCABULARY_SIZE, sum(map(len, ATTRIBUTES.values())))
    # Fresh weights have batch statistics of 0 and 1, so all photos look alike: take those of flat and noisy photos.
    layers = made.get_layer("efficientnetb0").layers
    normalisations = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in normalisations:
        layer.momentum = 0.0
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (32, 8, 8, 3)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    photos[:8] = 255  # a white border, as padded photos have, round a patch of one colour
    photos[:8, 16:48, 20:44] = rng.integers(0, 256, (8, 1, 1, 3))
    made([photos, np.ones((32, 1), np.float32), np.ones((32, 3), np.int32)], training=True)
    for layer in normalisations:  # a channel that is nearly constant there would drown all others elsewhere
        variance = np.asarray(layer.moving_variance)
        layer.moving_variance.assign(np.maximum(variance, variance.mean()))
    for name, factor in (("token_embedding", 30), ("classifier", 4)):
        made.get_layer(name).set_weights([factor * weight for weight in made.get_layer(name).get_weights()])
    return made


def calibration() -> dict[str, Calibration]:
    """Return what its manifest says of each precision, by modality."""

    def calibrated(temperature: float) -> Calibrated:
        return Calibrated(temperature=temperature, auto=0.9, review=0.5)

    return {
        name: Calibration(
            category=calibrated(temperature),
            parent=calibrated(1.25),
            attributes={attribute: calibrated(temperature) for attribute in ATTRIBUTES},
            novelty=0.5,
        )
        for name, temperature in {"both": 1.0, "image": 1.5, "text": 0.8}.items()
    }


def facts() -> Facts:
    """Return what its manifest says."""
    return Facts(
        name="tiny",
        tokenizer=train_tokenizer(_TEXTS, VOCABULARY_SIZE),
        labels=LABELS,
        image_size=IMAGE_SIZE,
        attributes=ATTRIBUTES,
        families=TAXONOMY,
        calibration={precision: calibration() for precision in ("f32", "bf16", "int8")},
        notice="Untrained weights.\n",
        metrics={"f32": measured()},
        data={"digest": "0" * 64, "counts": {"train": 8, "validation": 1, "test": 1}},
        recipe={"backbone_weights": "none", "stages": [{"image_size": IMAGE_SIZE}], "vocabulary_size": VOCABULARY_SIZE},
    )
