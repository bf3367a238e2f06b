"""Quantize the float OpenVINO IR to int8, by NNCF's post-training quantization.

    1. batch normalisation is folded into the convolutions before it, so that fewer operations are quantized;
    2. most swishes are replaced by hard swishes (`training.release.hard_swish`);
    3. 300 rows of the train split with a photo show the range of values of each operation, with both inputs and with
       each one alone;
    4. the convolutions get int8 weights and inputs; the first one, the squeeze-and-excite gates, the text branch and
       everything after the pooling stay float.

On one machine, the same run gives the same bytes. Another CPU may give other bytes, because the values of steps 2 and 3
are computed on it.
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

# The token embedding, the two dense layers, and the normalisation of the embedding. They take little time. The features
# of photos are much larger than those of texts, so that one scale for all would change the embeddings of texts.
_FLOAT = ["Gather", "MatMul", "Multiply", "ReduceSum", "Power", "Minimum"]

#: Inputs of the model by name, for one row.
Row = Mapping[str, NDArray[Any]]


def load_nncf() -> Any:
    """Import NNCF without telemetry, and with its messages in the log of this process.

    NNCF reports its use through `openvino_telemetry`, which `load_openvino` makes look missing. By default NNCF writes
    its messages to standard output, and gives its own class to every logger that is created after the import.
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
    """Draw at most `CALIBRATION_ROWS` rows of a split, always the same: with both inputs, and with each one alone.

    Only rows with a photo are drawn. A row without its photo as input keeps the pixels, whose features the model
    multiplies by zero, because white pixels would narrow the measured ranges of photos.
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
    """Yield random rows of a split with a photo, reading a few hundred at a time."""
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
        ir: files with `openvino/model.xml` and `openvino/model.bin`.
        rows: the result of `calibration_rows`.

    Returns:
        `openvino/model_int8.xml` and `openvino/model_int8.bin`.
    """
    from openvino._offline_transformations import apply_moc_transformations  # NNCF uses it too; it has no public name

    name = OPENVINO_IR["f32"]
    graph = load_openvino().Core().read_model(ir[f"{name}.xml"], ir[f"{name}.bin"])
    apply_moc_transformations(graph, cf=True)
    hard_swish.replace(graph, rows)
    apply_moc_transformations(graph, cf=True)  # folds scales into the convolutions
    return openvino_ir.serialize(_quantized(graph, rows), OPENVINO_IR["int8"])


def _quantized(graph: Any, rows: Sequence[Row]) -> Any:
    nncf = load_nncf()
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        return nncf.quantize(
            graph,
            nncf.Dataset(rows),
            subset_size=len(rows),
            # Swish is not symmetric: its minimum is -0.28.
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(
                types=_FLOAT,
                names=[*_reads_pixels(graph), *_sums_of_states(graph)],
                subgraphs=[nncf.Subgraph(inputs=[pooling], outputs=[product]) for pooling, product in _gates(graph)],
                validate=False,
            ),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # AVX2 adds two products in 16 bits, so that the sum may overflow with 8 bits of the weights.
                overflow_fix=nncf.OverflowFix.ENABLE,
            ),
        )


def _reads_pixels(graph: Any) -> list[str]:
    """Return the names of the convolutions that read the three colours. They stay float.

    Their inputs are mostly near 255, the white background, and the mean colour is in the bias. So a rounded weight
    shifts a channel of all following layers.
    """
    return [
        operation.get_friendly_name()
        for operation in graph.get_ops()
        if operation.get_type_name() == "Convolution" and operation.input_value(0).get_partial_shape()[1] == 3
    ]


def _sums_of_states(graph: Any) -> list[str]:
    """Return the names of the sums over the LSTM's states [n, t, u], which mask padding."""
    return [
        operation.get_friendly_name()
        for operation in graph.get_ops()
        if operation.get_type_name() == "Add" and len(operation.get_output_partial_shape(0)) == 3
    ]


def _gates(graph: Any) -> list[tuple[str, str]]:
    """Return the names of each average over a photo's places, and of the product that follows. They stay float.

    All but one are squeeze-and-excite gates; the last one gives the photo's features. They have one value per channel,
    so that they take little time, but an error scales a whole channel.
    """
    gates = []
    for operation in graph.get_ops():
        if operation.get_type_name() == "ReduceMean":
            end = operation
            while end.get_type_name() != "Multiply":
                end = next(iter(end.output(0).get_target_inputs())).get_node()
            gates.append((operation.get_friendly_name(), end.get_friendly_name()))
    return gates
