"""Replace swishes of an OpenVINO graph by hard swishes with a scale and shift for each channel, before quantization.

In int8, swish, x / (1 + exp(-x)), takes a large part of the time, because its exponential and division stay float. The
hard swish x * clip(x + 3, 0, 6) / 6 (Howard et al., "Searching for MobileNetV3", 2019) is much faster, but differs by
up to 0.14. So each channel gets the c * hard_swish(a * x + b) + d that is nearest to its swish on the values of photos.
The difference is then about as large as the rounding of int8. a and b become part of the convolution before, and
OpenVINO fuses the rest with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from fashion_udf.model.engines.openvino import load_openvino

#: Numbers of channels of the maps to replace. Maps with fewer channels are close to the pixels and affect the logits
#: too much. Maps with more channels are small and take little time.
CHANNELS = range(33, 1000)
PHOTOS = 150
#: Sampled places of each map of each photo.
PLACES = 24
#: Regularisation that keeps a nearly constant channel close to the plain hard swish.
_TOWARDS_PLAIN = 1e-3

_PLAIN = np.array([1.0, 0.0, 1.0, 0.0])


def replace(graph: Any, rows: Sequence[Mapping[str, NDArray[Any]]]) -> None:
    """Replace swishes of an `openvino.Model`, in place, from the input to the output.

    Each hard swish is fitted so that its output for the current inputs is near the original swish of the original
    inputs. So it also corrects errors of the earlier replacements.

    Args:
        graph: a model with NCHW maps and without quantized weights.
        rows: inputs of the model by name, for one row each. `PHOTOS` of them are used.
    """
    from openvino import opset8

    swishes = [operation for operation in graph.get_ordered_ops() if _is_replaced(operation)]
    photos = rows[:: max(1, len(rows) // PHOTOS)][:PHOTOS]
    before = _values(graph, swishes, photos)
    for swish, original in zip(swishes, before, strict=True):
        (values,) = _values(graph, [swish], photos)
        targets = original / (1.0 + np.exp(-original))
        fitted = np.array([fit(*channel) for channel in zip(values, targets, strict=True)], np.float32)
        a, b, c, d = (opset8.constant(column.reshape(1, -1, 1, 1)) for column in fitted.T)
        hard = opset8.hswish(opset8.add(opset8.multiply(swish.input_value(0), a), b))
        swish.output(0).replace(opset8.add(opset8.multiply(hard, c), d).output(0))
    graph.validate_nodes_and_infer_types()


def fit(values: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[4], a to d, so that c * hard_swish(a * values + b) + d is nearest to `targets`; both are [n]."""

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, d = parameters
        pull = _TOWARDS_PLAIN * np.sqrt(len(values)) * (parameters - _PLAIN)
        return np.concatenate([c * hard_swish(a * values + b) + d - targets, pull])

    return np.asarray(least_squares(residuals, _PLAIN, method="lm").x)


def hard_swish(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x * clip(x + 3, 0, 6) / 6 of each value."""
    return values * np.clip(values + 3.0, 0.0, 6.0) / 6.0


def _is_replaced(operation: Any) -> bool:
    if operation.get_type_name() != "Swish":
        return False
    shape = operation.get_output_partial_shape(0)
    # A gate of squeeze-and-excite has one place.
    return len(shape) == 4 and shape[1].get_length() in CHANNELS and shape[2] != 1


def _values(
    graph: Any, swishes: Sequence[Any], rows: Sequence[Mapping[str, NDArray[Any]]]
) -> list[NDArray[np.float64]]:
    """Return the inputs of each swish, float64[channels, values], at places that depend on the row's number."""
    openvino = load_openvino()
    part = openvino.Model([swish.input_value(0) for swish in swishes], graph.get_parameters())
    predict = openvino.Core().compile_model(part, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    drawn_values: list[list[NDArray[np.float64]]] = [[] for _ in swishes]
    for number, row in enumerate(rows):
        for drawn_of_swish, maps in zip(drawn_values, predict(dict(row)).values(), strict=True):
            flat = maps[0].reshape(maps.shape[1], -1)
            places = np.random.default_rng(number).choice(flat.shape[1], min(PLACES, flat.shape[1]), replace=False)
            # float64, because the steps of a fit are too small for float32.
            drawn_of_swish.append(flat[:, places].astype(np.float64))
    return [np.concatenate(parts, axis=1) for parts in drawn_values]
