"""What a model knows before its first step: all that fits of a bundle, or the weights of a backbone."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from fashion_udf.errors import ConfigError
from fashion_udf.model.architecture import build_model
from fashion_udf.model.engines.tensorflow import weights_by_name
from training.data.dataset import Attribute, Preparation
from training.fitting import initial_weights
from training.release.weights import round_to_half

pytest.importorskip("tensorflow")

VOCABULARY = 64
LABELS = ("Dresses", "Shirts", "Shoes")
ATTRIBUTES = (Attribute("gender", ("Men", "Women")), Attribute("season", ("Summer", "Winter")))


def _model(labels: tuple[str, ...], attributes: tuple[Attribute, ...]) -> Any:
    return build_model(len(labels), VOCABULARY, sum(len(attribute.values) for attribute in attributes))


@pytest.fixture(scope="module")
def initial() -> Any:
    """A bundle, as far as it is read."""
    attributes = [SimpleNamespace(name=attribute.name, values=list(attribute.values)) for attribute in ATTRIBUTES]
    manifest = SimpleNamespace(
        labels=list(LABELS), attributes=attributes, text=SimpleNamespace(vocabulary_size=VOCABULARY)
    )
    files = {"weights.safetensors": round_to_half(_model(LABELS, ATTRIBUTES))}
    return SimpleNamespace(manifest=manifest, files=files, model_version="0123456789abcdef" * 4)


def _taken_over(initial: Any, labels: tuple[str, ...], attributes: tuple[Attribute, ...]) -> tuple[set[str], set[str]]:
    """Take over, and return the layers of the weights that are the bundle's, and of those that are as they were."""
    model = _model(labels, attributes)
    before = {name: np.asarray(weight) for name, weight in weights_by_name(model).items()}
    initial_weights.take_over(model, initial, Preparation(b"", labels, 32, attributes))
    stored, taken, kept = load(initial.files["weights.safetensors"]), set(), set()
    for name, weight in weights_by_name(model).items():
        value, layer = np.asarray(weight), name.partition("/")[0]
        if name.endswith(("kernel", "embeddings")):  # the others start as zeros or ones
            same = name in stored and np.array_equal(value, stored[name].astype(value.dtype))
            (taken if same else kept).add(layer)
            assert same or np.array_equal(value, before[name]), name
    return taken, kept


def test_with_the_same_categories_and_attributes_all_weights_are_the_bundle_s(
    initial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        taken, kept = _taken_over(initial, LABELS, ATTRIBUTES)
    assert {"lstm", "token_embedding", "fusion", "classifier", "attributes", "stem_conv"} <= taken and not kept
    assert caplog.messages == [
        "photo branch, text branch and fusion start with the weights of the bundle 0123456789ab; all heads too"
    ]


def test_with_other_categories_the_classifier_is_new_and_the_rest_the_bundle_s(
    initial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        taken, kept = _taken_over(initial, ("Boots", "Hats", "Shirts", "Shoes"), ATTRIBUTES)
    assert kept == {"classifier"} and {"attributes", "fusion", "stem_conv"} <= taken
    assert caplog.messages == [
        "photo branch, text branch and fusion start with the weights of the bundle 0123456789ab; "
        "new heads: classifier (4 categories, of which the bundle has 2)"
    ]


def test_as_many_categories_of_other_names_are_other_ones(initial: Any) -> None:
    _, kept = _taken_over(initial, ("Boots", "Hats", "Shoes"), ATTRIBUTES)
    assert kept == {"classifier"}


@pytest.mark.parametrize(
    ("attributes", "new"),
    [
        ((ATTRIBUTES[0], Attribute("season", ("Spring", "Winter"))), {"attributes"}),
        (ATTRIBUTES[:1], {"attributes"}),
        ((), set()),
    ],
)
def test_other_attributes_have_a_new_head(
    initial: Any, attributes: tuple[Attribute, ...], new: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        _, kept = _taken_over(initial, LABELS, attributes)
    assert kept == new
    named = ", ".join(attribute.name for attribute in attributes) or "none"
    assert caplog.messages[0].endswith(f"; new heads: attributes ({named})")


def test_another_vocabulary_than_the_bundle_s_is_refused(initial: Any) -> None:
    initial_weights.require_tokenizer(initial, VOCABULARY)
    with pytest.raises(ConfigError) as raised:
        initial_weights.require_tokenizer(initial, 4096)
    assert str(raised.value) == (
        "Expected vocabulary_size 64, as in the initial_bundle, whose tokenizer the run uses. Received: 4096"
    )


def test_backbone_weights_are_those_of_the_file_and_scale_the_pixels(tmp_path: Path) -> None:
    import keras

    source = keras.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg")
    (layer,) = [layer for layer in source.layers if layer.name.startswith("normalization")]
    layer.set_weights([np.full(3, 0.5, np.float32), np.full(3, 0.04, np.float32), *layer.get_weights()[2:]])
    layer.finalize_state()
    source.save_weights(tmp_path / "own.weights.h5")
    model = _model(LABELS, ())
    initial_weights.initialise_backbone(model, str(tmp_path / "own.weights.h5"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(model.get_layer("efficientnetb0")(pixels)), np.asarray(source(pixels)), atol=1e-4
    )


def test_the_weights_of_imagenet_get_pixels_divided_by_their_standard_deviation() -> None:
    import keras

    backbone = keras.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg")
    (layer,) = [layer for layer in backbone.layers if layer.name.startswith("normalization")]
    mean, deviation = np.asarray([0.485, 0.456, 0.406], np.float32), np.asarray([0.229, 0.224, 0.225], np.float32)
    layer.set_weights([mean, deviation, *layer.get_weights()[2:]])  # as Keras' file holds them
    initial_weights.fold_rescaling(backbone)
    layer.finalize_state()
    pixels = np.random.default_rng(0).uniform(0, 1, (1, 2, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(pixels)), (pixels - mean) / deviation, atol=1e-4)
