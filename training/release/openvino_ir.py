"""Convert a Keras model to OpenVINO IR without loss. The same model gives the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fashion_udf.model.engines.openvino import load_openvino
from fashion_udf.model.manifest import OPENVINO_IR

if TYPE_CHECKING:
    import keras

_WITH_BODY = ("Loop", "TensorIterator")  # the LSTM


def convert(model: keras.Model) -> dict[str, bytes]:
    """Convert a model whose weights are already rounded to half precision.

    The conversion uses a SavedModel, because OpenVINO cannot read Keras' ONNX export of this model.
    `openvino.convert_model` with `compress_to_fp16` is not used: it multiplies each convolution's weights with its
    batch normalisation and rounds the products, so that embeddings differ by more than the tolerance.

    Returns:
        `openvino/model.xml` and `openvino/model.bin`.
    """
    openvino = load_openvino()
    frontend = openvino.frontend.FrontEndManager().load_by_framework("tf")
    with tempfile.TemporaryDirectory() as folder:
        saved_model = Path(folder) / "saved_model"
        model.export(saved_model, format="tf_saved_model", verbose=False)
        return serialize(frontend.convert(frontend.load(str(saved_model))), OPENVINO_IR["f32"])


def serialize(graph: Any, name: str) -> dict[str, bytes]:
    """Serialize an `openvino.Model`, which is changed in place, without loss.

    Returns:
        `<name>.xml` and `<name>.bin`, with floats in half precision if they are exact, and without names that depend on
        this process.
    """
    _halve(graph)
    _number(graph)
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "model.xml"
        load_openvino().save_model(graph, xml, compress_to_fp16=False)
        return {f"{name}.xml": xml.read_bytes(), f"{name}.bin": xml.with_suffix(".bin").read_bytes()}


def _halve(graph: Any) -> None:
    """Store constants in half precision if they are exact. The engine converts them back when it compiles the graph."""
    from openvino import Type, opset8

    for operation in graph.get_ordered_ops():
        if operation.get_type_name() in _WITH_BODY:
            _halve(operation.get_function())
        if operation.get_type_name() != "Constant" or operation.get_element_type() != Type.f32:
            continue
        with np.errstate(over="ignore"):  # an infinity counts as inexact
            half = operation.data.astype(np.float16)
        if np.array_equal(half.astype(np.float32), operation.data):
            operation.output(0).replace(opset8.convert(opset8.constant(half), "f32").output(0))


def _number(graph: Any) -> None:
    """Rename operations, except inputs and outputs: the converter's names have counters of this process."""
    for position, operation in enumerate(graph.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{position}")
        if operation.get_type_name() in _WITH_BODY:
            _number(operation.get_function())
