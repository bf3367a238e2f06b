"""The float OpenVINO IR to an int8 one, by NNCF's post-training quantization.

    1. batch normalisation is folded into the convolutions before it, which halves the operations that are quantized;
    2. most swishes become hard swishes (`training.release.hard_swish`);
    3. 300 rows of the train split that have a photo show which values each operation takes, with both inputs and with
       either alone;
    4. the convolutions get int8 weights and inputs; the first one, the squeeze-and-excite gates, the text branch and
       all that follows the pooling stay float.

On one machine the same run gives the same bytes. Another CPU may give others: it computes the values of steps 2 and 3.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
from numpy.typing import NDArray

from fashion_udf.model.engines.openvino import load_openvino
from fashion_udf.model.manifest import OPENVINO_IR

from ..data import dataset
from . import hard_swish, openvino_ir

CALIBRATION_ROWS = 300  # NNCF's default
_SEED = 0

# The token embedding, the two dense layers, and what makes the embedding one of unit length: they take no time. Photo
# features are far larger than text's, and one scale for all components moved embeddings of text alone by up to 0.25.
_FLOAT = ["Gather", "MatMul", "Multiply", "ReduceSum", "Power", "Minimum"]

#: Inputs of the model by name, for one row.
Row = Mapping[str, NDArray[Any]]


def load_nncf() -> Any:
    """Import NNCF with its telemetry switched off, and its messages in the log of this process.

    NNCF reports its use through `openvino_telemetry`, which `load_openvino` makes look missing. It writes its messages
    to standard output, where results go, and gives its own class to every logger that is created after the import.
    """
    load_openvino()
    logger_class = logging.getLoggerClass()
    import nncf

    logging.setLoggerClass(logger_class)
    logger = logging.getLogger("nncf")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.WARNING)
    return nncf


def calibration_rows(folder: Path, preparation: dataset.Preparation) -> list[Row]:
    """Draw rows of a split, at most `CALIBRATION_ROWS` and the same each time; by turns with one input taken away.

    Only rows with a photo are drawn, and a row whose photo is taken away keeps its pixels: the model multiplies their
    features by zero. White pixels would narrow the ranges that are measured for photos.
    """
    arrays = dataset.input_arrays(preparation)
    rows: list[Row] = []
    for position, row in enumerate(islice(_drawn(folder), CALIBRATION_ROWS)):
        columns = ([row[name]] for name in ("image", "text", "category", "attributes"))
        pixels, present, token_ids, *_ = arrays(*columns)
        if position % 3 == 1:
            token_ids = np.zeros((1, 1), np.int32)
        if position % 3 == 2:
            present = np.zeros_like(present)
        rows.append(dict(zip(dataset.INPUTS, (pixels, present, token_ids), strict=True)))
    return rows


def _drawn(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield rows of a split that have a photo, drawn at random, a few hundred at a time."""
    files = [str(file) for file in dataset.require_plain_parquet(folder)]
    order = np.random.default_rng(_SEED).permutation(dataset.count(folder))
    table = pads.dataset(files, format="parquet")
    for start in range(0, len(order), CALIBRATION_ROWS):
        drawn = np.sort(order[start : start + CALIBRATION_ROWS])
        taken = table.take(drawn, columns=dataset.TRAINING_SET.names)
        yield from (row for row in taken.to_pylist() if row["image"])


def quantize(ir: Mapping[str, bytes], rows: Sequence[Row]) -> dict[str, bytes]:
    """Quantize the float IR.

    Args:
        ir: has `openvino/model.xml` and `openvino/model.bin`.
        rows: as `calibration_rows` gives them.

    Returns:
        `openvino/model_int8.xml` and `openvino/model_int8.bin`.
    """
    from openvino._offline_transformations import apply_moc_transformations  # as NNCF does: it has no public name

    name = OPENVINO_IR["f32"]
    graph = load_openvino().Core().read_model(ir[f"{name}.xml"], ir[f"{name}.bin"])
    apply_moc_transformations(graph, cf=True)
    hard_swish.replace(graph, rows)
    apply_moc_transformations(graph, cf=True)  # their scales before go into the convolutions
    return openvino_ir.serialize(_quantized(graph, rows), OPENVINO_IR["int8"])


def _quantized(graph: Any, rows: Sequence[Row]) -> Any:
    nncf = load_nncf()
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        return nncf.quantize(
            graph,
            nncf.Dataset(rows),
            subset_size=len(rows),
            # Swish is not symmetric: its outputs begin at -0.28.
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(
                types=_FLOAT,
                names=[*_reads_pixels(graph), *_sums_of_states(graph)],
                subgraphs=[nncf.Subgraph(inputs=[pooling], outputs=[product]) for pooling, product in _gates(graph)],
                validate=False,
            ),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # AVX2 adds two products in 16 bits: with all 8 bits of the weights the sum can be cut off.
                overflow_fix=nncf.OverflowFix.ENABLE,
            ),
        )


def _reads_pixels(graph: Any) -> list[str]:
    """Return the names of the convolutions that read the three colours.

    Their inputs are 0 to 255, near 255 in the white round a product, and the mean colour is in the bias: a weight that
    is rounded moves a channel of all that follows. By the photo alone, 84 % of 128 validation rows kept the category of
    f32 with int8 weights here, and 96 % with float ones.
    """
    return [
        operation.get_friendly_name()
        for operation in graph.get_ops()
        if operation.get_type_name() == "Convolution" and operation.input_value(0).get_partial_shape()[1] == 3
    ]


def _sums_of_states(graph: Any) -> list[str]:
    """Return the names of the sums over the LSTM's states [n, t, u], which make padding small: they are no maps."""
    return [
        operation.get_friendly_name()
        for operation in graph.get_ops()
        if operation.get_type_name() == "Add" and len(operation.get_output_partial_shape(0)) == 3
    ]


def _gates(graph: Any) -> list[tuple[str, str]]:
    """Return the names of each average over a photo's places, and of the product that its values end in.

    All but one are squeeze-and-excite gates; the last gives the photo's features. They take no time, being of one value
    a channel, and each scales a whole channel. By the photo alone, 91.5 % of 352 validation rows kept the category of
    f32 with them in int8, and 96.6 % with them float.
    """
    gates = []
    for operation in graph.get_ops():
        if operation.get_type_name() == "ReduceMean":
            end = operation
            while end.get_type_name() != "Multiply":
                end = next(iter(end.output(0).get_target_inputs())).get_node()
            gates.append((operation.get_friendly_name(), end.get_friendly_name()))
    return gates
