"""Ten faults that a kernel may have on some CPU or in some release of an engine, seeded into a bundle's OpenVINO IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.openvino import load_openvino
from fashion_udf.model.engines.prediction import Predict, Prediction, from_outputs
from fashion_udf.model.manifest import OPENVINO_IR


def operations(graph: Any, *kinds: str) -> list[Any]:
    """The operations of some kinds, in the order in which they run."""
    return [operation for operation in graph.get_ordered_ops() if operation.get_type_name() in kinds]


def middle(found: list[Any]) -> Any:
    return found[len(found) // 2]


def insert(output: Any, make: Callable[[Any], Any]) -> None:
    """Put an operation behind an output."""
    readers = output.get_target_inputs()
    made = make(output).output(0)
    for reader in readers:
        reader.replace_source_output(made)


def body(graph: Any) -> Any:
    """One step of the LSTM."""
    (loop,) = operations(graph, "Loop", "TensorIterator")
    return loop.get_function()


def fusion(graph: Any) -> Any:
    """The dense layer in which photo and text meet."""
    return next(each for each in operations(graph, "MatMul") if each.get_output_partial_shape(0)[1].get_length() == 256)


def a_wrong_scale(graph: Any) -> None:
    from openvino import opset8

    insert(
        middle(operations(graph, "Convolution")).output(0),
        lambda output: opset8.multiply(output, opset8.constant(np.float32(1.5))),
    )


def a_saturating_sum(graph: Any) -> None:
    from openvino import opset8

    insert(fusion(graph).output(0), lambda output: opset8.clamp(output, -0.5, 0.5))


def a_skipped_layer(graph: Any) -> None:
    same = [
        each
        for each in operations(graph, "GroupConvolution")
        if each.get_strides()[0] == 1 and each.input_value(0).get_partial_shape()[1].is_static
    ]
    layer = middle(same)
    layer.output(0).replace(layer.input_value(0))


def a_zeroed_channel(graph: Any) -> None:
    from openvino import opset8

    stem = operations(graph, "Convolution")[0]
    kept = np.ones((1, stem.get_output_partial_shape(0)[1].get_length(), 1, 1), np.float32)
    kept[0, np.abs(_weights(stem)).sum(axis=(1, 2, 3)).argmax()] = 0
    insert(stem.output(0), lambda output: opset8.multiply(output, opset8.constant(kept)))


def swapped_gates(graph: Any) -> None:
    (split,) = operations(body(graph), "Split", "VariadicSplit")
    first, second = split.output(0).get_target_inputs(), split.output(1).get_target_inputs()
    for readers, output in ((first, split.output(1)), (second, split.output(0))):
        for reader in readers:
            reader.replace_source_output(output)


def a_forgotten_state(graph: Any) -> None:
    from openvino import opset8

    product = operations(body(graph), "MatMul")[-1]
    insert(product.output(0), lambda output: opset8.multiply(output, opset8.constant(np.float32(0))))


def a_mean_for_a_maximum(graph: Any) -> None:
    from openvino import opset8

    largest = operations(graph, "ReduceMax")[0]
    largest.output(0).replace(opset8.reduce_mean(largest.input_value(0), largest.input_value(1)).output(0))


def a_missing_bias(graph: Any) -> None:
    added = middle(operations(graph, "Convolution"))
    while added.get_type_name() != "Add":  # a batch normalisation multiplies first, unless it is folded
        (reader,) = added.output(0).get_target_inputs()
        added = reader.get_node()
    sides = [added.input_value(0), added.input_value(1)]
    added.output(0).replace(next(side for side in sides if side.get_partial_shape()[0].is_dynamic))


def an_open_gate(graph: Any) -> None:
    from openvino import opset8

    gates = [each for each in operations(graph, "Sigmoid") if str(each.get_output_partial_shape(0)).endswith(",1,1]")]
    insert(gates[-1].output(0), lambda output: opset8.power(output, opset8.constant(np.float32(0))))


def signed_pixels(graph: Any) -> None:
    from openvino import opset8

    image = next(each for each in graph.get_parameters() if "image" in each.output(0).get_names())

    def signed(levels: Any) -> Any:
        over = opset8.convert(opset8.greater(levels, opset8.constant(np.float32(127))), "f32")
        return opset8.subtract(levels, opset8.multiply(over, opset8.constant(np.float32(256))))

    read = image
    while read.get_type_name() != "Convert":
        readers = [reader.get_node() for reader in read.output(0).get_target_inputs()]
        read = next(node for node in readers if node.get_type_name() != "ShapeOf")
    insert(read.output(0), signed)


FAULTS: dict[str, Callable[[Any], None]] = {
    fault.__name__: fault
    for fault in (
        a_wrong_scale,
        a_saturating_sum,
        a_skipped_layer,
        a_zeroed_channel,
        swapped_gates,
        a_forgotten_state,
        a_mean_for_a_maximum,
        a_missing_bias,
        an_open_gate,
        signed_pixels,
    )
}


def build(bundle: Bundle, precision: str, fault: Callable[[Any], None] | None) -> Predict:
    """Compile the bundle's IR with a fault in it; None: without one."""
    openvino = load_openvino()
    core, name = openvino.Core(), OPENVINO_IR[precision]
    graph = core.read_model(bundle.files[f"{name}.xml"], bundle.files[f"{name}.bin"])
    if fault:
        fault(graph)
        graph.validate_nodes_and_infer_types()
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"})

    def predict(
        pixels: NDArray[np.uint8], image_present: NDArray[np.float32], token_ids: NDArray[np.int32]
    ) -> Prediction:
        outputs = compiled({"image": pixels, "image_present": image_present, "token_ids": token_ids})
        return from_outputs(outputs.__getitem__, bundle.manifest.attribute_values)

    return predict


def _weights(convolution: Any) -> NDArray[np.float32]:
    """The weights of a convolution, which may stand behind conversions."""
    node = convolution.input_value(1).get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return np.asarray(node.data, np.float32)
