"""What a model knows before its first step: a released bundle's weights, or those of a backbone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from fashion_udf.errors import ConfigError
from fashion_udf.model.architecture import use_normalisation
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.tensorflow import load_weights, weights_by_name

from ..data.dataset import Preparation

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


def require_tokenizer(initial: Bundle, vocabulary_size: int) -> None:
    """Check that a run has the vocabulary of the bundle that it starts with.

    Raises:
        ConfigError: it has another.
    """
    if (given := initial.manifest.text.vocabulary_size) != vocabulary_size:
        raise ConfigError(
            f"Expected vocabulary_size {given}, that of the initial_bundle, whose tokenizer the run takes over. "
            f"Received: {vocabulary_size}"
        )


def take_over(model: keras.Model, initial: Bundle, preparation: Preparation) -> None:
    """Assign a bundle's weights to a model; a head of other categories or attributes stays as it is, with fresh ones.

    What was taken over is logged.

    Args:
        model: freshly built for `preparation`.
        initial: a verified bundle with the same vocabulary.
        preparation: of the run.

    Raises:
        BundleError: the bundle's weights are not those of our architecture.
    """
    from safetensors.numpy import load, save

    manifest = initial.manifest
    given = [(attribute.name, tuple(attribute.values)) for attribute in manifest.attributes]
    known = sum(label in manifest.labels for label in preparation.labels)
    fresh = {}
    if tuple(manifest.labels) != preparation.labels:
        fresh["classifier"] = f"{len(preparation.labels)} categories, of which the bundle has {known}"
    if given != [(attribute.name, attribute.values) for attribute in preparation.attributes]:
        fresh["attributes"] = ", ".join(attribute.name for attribute in preparation.attributes) or "none"
    heads = tuple(f"{name}/" for name in fresh)
    own = {name: np.asarray(weight) for name, weight in weights_by_name(model).items() if name.startswith(heads)}
    stored = load(initial.files["weights.safetensors"])
    stored = {name: weight for name, weight in stored.items() if not name.startswith(heads)}
    load_weights(model, save({**stored, **own}))
    logger.info(
        "photo branch, text branch and fusion are taken over from the bundle %s; %s",
        initial.model_version[:12],
        "new are " + "; ".join(f"{name} ({what})" for name, what in fresh.items()) if fresh else "so are all heads",
    )


def initialise_backbone(model: keras.Model, weights: str) -> None:
    """Assign weights to a model's EfficientNetB0.

    Args:
        model: as built by `fashion_udf.model.architecture.build_model`.
        weights: `none`, `imagenet`, or a file of Keras' EfficientNetB0 without top.

    Raises:
        ConfigError: the weights cannot be had.
    """
    import keras

    if weights == "none":
        return
    try:
        source = keras.applications.EfficientNetB0(include_top=False, weights=weights, pooling="avg")
    except Exception as error:  # a refused download, a wrong file: whatever Keras raises, the remedy is the same
        raise ConfigError(
            "Expected backbone_weights to be 'none', a weights file, or 'imagenet' with a network to download it from. "
            f"Received: {weights!r} ({type(error).__name__})"
        ) from error
    if weights == "imagenet":
        fold_rescaling(source)
    model.get_layer("efficientnetb0").set_weights(source.get_weights())
    use_normalisation(model)


def fold_rescaling(backbone: keras.Model) -> None:
    """Make the normalisation of pixels divide by the standard deviation, as it does with the layer that we lack.

    Keras' ImageNet weights hold the standard deviation where the variance belongs, so that normalising divides by its
    root. A second layer, which is there for `weights="imagenet"` alone, divides by the root once more.
    """
    (layer,) = (layer for layer in backbone.layers if layer.name.startswith("normalization"))
    mean, deviation, *count = layer.get_weights()
    layer.set_weights([mean, deviation**2, *count])
