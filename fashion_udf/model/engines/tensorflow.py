"""The TensorFlow engine: our architecture with the bundle's weights. The reference, and the engine for GPUs."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import BundleError, EnvironmentUnsupportedError
from fashion_udf.model.architecture import build_model, use_normalisation
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Predict, Prediction, from_outputs

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


def build(bundle: Bundle, precision: str, threads: int) -> Predict:
    """Build the model and load the bundle's weights.

    Args:
        bundle: a verified bundle.
        precision: `f32`.
        threads: CPU threads within and across operations. If TensorFlow already runs, its threads stay as they are.

    Raises:
        BundleError: a weight is missing, unexpected, or of another shape than the architecture's.
        EnvironmentUnsupportedError: Keras uses another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise EnvironmentUnsupportedError(
            f"Expected Keras on TensorFlow: unset KERAS_BACKEND. Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    _configure(threads)
    values = bundle.manifest.attribute_values
    model = build_model(len(bundle.manifest.labels), bundle.manifest.text.vocabulary_size, values)
    load_weights(model, bundle.files["weights.safetensors"])

    @tf.function(input_signature=_signature())
    def infer(pixels: Any, image_present: Any, token_ids: Any) -> Any:
        return model([pixels, image_present, token_ids], training=False)

    def predict(
        pixels: NDArray[np.uint8], image_present: NDArray[np.float32], token_ids: NDArray[np.int32]
    ) -> Prediction:
        outputs = infer(pixels, image_present, token_ids)
        return from_outputs(lambda name: outputs[name].numpy(), values)

    return predict


def _signature() -> list[Any]:
    import tensorflow as tf

    return [
        tf.TensorSpec([None, None, None, 3], tf.uint8),
        tf.TensorSpec([None, 1], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
    ]


def weights_by_name(model: keras.Model) -> dict[str, keras.Variable]:
    """Return every variable of the model by its path. The paths are the same for each model of a process.

    Keras numbers EfficientNet's unnamed layers, so that a second model has `normalization_1/mean`. The number is
    removed.
    """
    named = {re.sub(r"^(normalization|rescaling)_\d+/", r"\1/", weight.path): weight for weight in model.weights}
    if len(named) != len(model.weights):
        raise BundleError("Expected weights with different names. Received: a model that uses a name twice")
    return named


def load_weights(model: keras.Model, content: bytes) -> None:
    """Assign the weights of a safetensors file to a model, by name.

    Raises:
        BundleError: a weight is missing, unexpected, or differs in shape.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        stored = load(content)
    except SafetensorError as error:
        raise BundleError(f"Expected weights.safetensors to be a safetensors file. Received: {error}") from error
    variables = weights_by_name(model)
    if stored.keys() != variables.keys():
        raise BundleError(
            f"Expected the weights of fashion_udf.model.architecture in weights.safetensors. Received: missing "
            f"{sorted(variables.keys() - stored.keys())[:5]}, extra {sorted(stored.keys() - variables.keys())[:5]}"
        )
    for name, variable in variables.items():
        if stored[name].shape != tuple(variable.shape):
            raise BundleError(
                f"Expected weight {name} of shape {tuple(variable.shape)}. Received: shape {stored[name].shape}"
            )
        variable.assign(stored[name].astype(variable.dtype))
    use_normalisation(model)


def _configure(threads: int) -> None:
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            # Two tasks may share a GPU. By default the first one would take all of its memory.
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        logger.info("TensorFlow already runs in this process: its threads and GPU memory stay as they are")
