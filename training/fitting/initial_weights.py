"""The initial weights of a model: those of a released bundle, or of a backbone."""

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
    """Check that a run has the vocabulary size of its initial bundle.

    Raises:
        ConfigError: the sizes differ.
    """
    if (given := initial.manifest.text.vocabulary_size) != vocabulary_size:
        raise ConfigError(
            f"Expected vocabulary_size {given}, as in the initial_bundle, whose tokenizer the run uses. "
            f"Received: {vocabulary_size}"
        )


def take_over(model: keras.Model, initial: Bundle, preparation: Preparation) -> None:
    """Assign a bundle's weights to a model. A head with other categories or attributes keeps its new weights.

    The assigned parts are logged.

    Args:
        model: a new model for `preparation`.
        initial: a verified bundle with the same vocabulary.
        preparation: the preparation of the run.

    Raises:
        BundleError: the bundle's weights do not fit our architecture.
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
        "photo branch, text branch and fusion start with the weights of the bundle %s; %s",
        initial.model_version[:12],
        "new heads: " + "; ".join(f"{name} ({what})" for name, what in fresh.items()) if fresh else "all heads too",
    )


def initialise_backbone(model: keras.Model, weights: str) -> None:
    """Assign weights to a model's EfficientNetB0.

    Args:
        model: a model of `fashion_udf.model.architecture.build_model`.
        weights: `none`, `imagenet`, or a file of Keras' EfficientNetB0 without top.

    Raises:
        ConfigError: the weights cannot be loaded.
    """
    import keras

    if weights == "none":
        return
    try:
        source = keras.applications.EfficientNetB0(include_top=False, weights=weights, pooling="avg")
    except Exception as error:  # Keras may raise anything; the remedy is the same for a failed download or a wrong file
        raise ConfigError(
            "Expected backbone_weights to be 'none', a weights file, or 'imagenet' with a network to download it from. "
            f"Received: {weights!r} ({type(error).__name__})"
        ) from error
    if weights == "imagenet":
        fold_rescaling(source)
    model.get_layer("efficientnetb0").set_weights(source.get_weights())
    use_normalisation(model)


def fold_rescaling(backbone: keras.Model) -> None:
    """Make the normalisation of pixels divide by the standard deviation.

    Keras' ImageNet weights have the standard deviation in place of the variance, so that the normalisation divides by
    its root. With `weights="imagenet"`, Keras adds a second layer, which divides by the root again. Our model lacks it.
    """
    (layer,) = (layer for layer in backbone.layers if layer.name.startswith("normalization"))
    mean, deviation, *count = layer.get_weights()
    layer.set_weights([mean, deviation**2, *count])
