"""Weights are loaded by name into our architecture; nothing else of a bundle is executed."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from fashion_udf.errors import BundleError, EnvironmentUnsupportedError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines import tensorflow as tensorflow_engine
from fashion_udf.model.engines.prediction import calibrated
from tests import tiny_model
from tests.model.engines.drawn_rows import rows
from tests.submit import REPOSITORY


def stored(model: Bundle) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load

    return dict(load(model.files["weights.safetensors"]))


def with_weights(weights: dict[str, NDArray[np.float32]]) -> bytes:
    from safetensors.numpy import save

    return bytes(save(weights))


def test_weights_have_the_same_names_in_every_model_of_a_process() -> None:
    first, second = (tensorflow_engine.weights_by_name(tiny_model.build_model(3, 10)) for _ in range(2))
    assert first.keys() == second.keys()
    assert {"normalization/mean", "stem_conv/kernel", "lstm/lstm_cell/kernel"} <= first.keys()


def test_a_missing_an_extra_and_a_misshapen_weight_are_named(model: Bundle) -> None:
    built = tiny_model.model()
    weights = stored(model)
    bias = weights.pop("classifier/bias")
    with pytest.raises(BundleError, match=r"missing \['classifier/bias'\], extra \[\]"):
        tensorflow_engine.load_weights(built, with_weights(weights))
    with pytest.raises(BundleError, match=r"missing \[\], extra \['evil/kernel'\]"):
        tensorflow_engine.load_weights(built, with_weights({**weights, "classifier/bias": bias, "evil/kernel": bias}))
    with pytest.raises(BundleError, match=r"Expected weight classifier/bias of shape \(4,\). Received: shape \(4, 1\)"):
        tensorflow_engine.load_weights(built, with_weights({**weights, "classifier/bias": bias[:, None]}))
    with pytest.raises(BundleError, match="to be a safetensors file. Received: "):
        tensorflow_engine.load_weights(built, b"\xff" * 100)


def test_pixels_are_normalised_by_the_weights_that_were_loaded(model: Bundle) -> None:
    built = tiny_model.model()
    weights, inputs = stored(model), list(rows(4))
    tensorflow_engine.load_weights(built, with_weights(weights))
    before = np.asarray(built(inputs)["logits"])
    changed = weights["normalization/mean"] + np.float32(0.25)
    tensorflow_engine.load_weights(built, with_weights({**weights, "normalization/mean": changed}))
    assert np.abs(np.asarray(built(inputs)["logits"]) - before).max() > 1e-3


def has_gpu() -> bool:
    try:
        return "GPU" in subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False


@pytest.mark.skipif(not has_gpu(), reason="needs an NVIDIA GPU")
def test_a_task_with_a_gpu_scores_on_it_and_takes_no_more_memory_than_it_needs() -> None:
    program = (
        "import sys\n"
        "from pyspark.resource import ResourceInformation\n"
        "from fashion_udf.model import bundle\n"
        "from fashion_udf.model.engines import registry\n"
        "from fashion_udf.scoring import udf\n"
        "assert udf.take_gpu({'gpu': ResourceInformation('gpu', ['0'])})\n"
        "registry.create('tensorflow', bundle.read(sys.argv[1]), 'f32', 1)\n"
        "import tensorflow as tf\n"
        "(gpu,) = tf.config.list_physical_devices('GPU')\n"
        "assert tf.config.experimental.get_memory_growth(gpu)\n"
        "assert tf.config.experimental.get_memory_info('GPU:0')['peak'] > 1_000_000\n"
    )
    repository = str(REPOSITORY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([repository, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", program, str(tiny_model.directory())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_engines_agree_on_rows_that_no_golden_row_holds(model: Bundle) -> None:
    inputs = rows(24)
    first, second = (registry.create(name, model, "f32", 1)(*inputs) for name in ("openvino", "tensorflow"))
    one, other = (calibrated(prediction.logits, 1.0) for prediction in (first, second))
    assert (one.argmax(axis=1) == other.argmax(axis=1)).all()
    assert len(set(one.argmax(axis=1).tolist())) > 1, "rows of one category prove little"
    np.testing.assert_allclose(one, other, atol=1e-3)
    np.testing.assert_allclose(first.embedding, second.embedding, atol=1e-3)


def test_keras_on_another_backend_is_refused(model: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(EnvironmentUnsupportedError, match="Expected Keras on TensorFlow.* Received: KERAS_BACKEND=jax"):
        registry.create("tensorflow", model, "f32", 1)
