"""Quantization: an int8 IR that is right on any CPU, the same each time, made without a word and without telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.openvino import load_openvino
from tests import tiny_model, training_set
from tests.submit import REPOSITORY
from training.data.dataset import TRAINING_SET, Preparation
from training.release import quantization
from training.release.quantization import Row, calibration_rows, quantize

CONVOLUTIONS = ("Convolution", "GroupConvolution")
_WITH_BODY = ("Loop", "TensorIterator")


@pytest.fixture(scope="module")
def model() -> Bundle:
    return bundle.read(str(tiny_model.directory()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set.write(tmp_path_factory.mktemp("training set")) / "train"


@pytest.fixture(scope="module")
def rows(folder: Path, model: Bundle) -> list[Row]:
    return calibration_rows(folder, Preparation(model.files["tokenizer.json"], tiny_model.LABELS, 64))[:9]


@pytest.fixture(scope="module")
def ir(model: Bundle, rows: list[Row]) -> dict[str, bytes]:
    return quantize(model.files, rows)


@pytest.fixture(scope="module")
def graph(ir: dict[str, bytes]) -> Any:
    return load_openvino().Core().read_model(ir["openvino/model_int8.xml"], ir["openvino/model_int8.bin"])


# --- rows ----------------------------------------------------------------------------------------------------------


def test_rows_are_drawn_by_turns_with_both_inputs_and_with_one_taken_away(rows: list[Row]) -> None:
    has = [(bool(row["image_present"][0, 0]), bool(row["token_ids"].any())) for row in rows]
    assert has == [(True, True), (True, False), (False, True)] * 3
    for row in rows:
        assert (row["image"].shape, row["image"].dtype) == ((1, 64, 64, 3), np.uint8)
        assert np.ptp(row["image"]) > 100, "a photo, also where the model is told that there is none"


def test_the_same_rows_are_drawn_each_time_and_no_more_than_asked_for(
    folder: Path, model: Bundle, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    preparation = Preparation(model.files["tokenizer.json"], tiny_model.LABELS, 64)
    again = calibration_rows(folder, preparation)
    assert len(again) == training_set.COUNTS["train"]
    for row, expected in zip(again, rows, strict=False):
        assert all(np.array_equal(row[name], expected[name]) for name in expected)
    monkeypatch.setattr(quantization, "CALIBRATION_ROWS", 7)
    assert len(calibration_rows(folder, preparation)) == 7


def test_rows_without_a_photo_are_not_drawn(folder: Path, model: Bundle, tmp_path: Path) -> None:
    table = pq.read_table(sorted(folder.glob("*.parquet")), schema=TRAINING_SET)
    images = [image if row % 5 == 0 else b"" for row, image in enumerate(table["image"].to_pylist())]
    column = table.schema.get_field_index("image")
    pq.write_table(
        table.set_column(column, table.schema.field(column), pa.array(images, pa.binary())), tmp_path / "p.parquet"
    )
    rows = calibration_rows(tmp_path, Preparation(model.files["tokenizer.json"], tiny_model.LABELS, 64))
    assert len(rows) == -(-len(table) // 5)
    assert all(np.ptp(row["image"]) > 100 for row in rows)


# --- the IR --------------------------------------------------------------------------------------------------------


def constants(operation: Any) -> Iterator[Any]:
    """The constants that an input of an operation is computed from, and from nothing else."""
    if operation.get_type_name() == "Constant":
        yield operation
    elif operation.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape"):
        for position in range(operation.get_input_size()):
            yield from constants(operation.input_value(position).get_node())


def int8_constants(operation: Any) -> list[Any]:
    """The int8 constants that any input of an operation is computed from, and from nothing else."""
    inputs = [operation.input_value(at).get_node() for at in range(operation.get_input_size())]
    return [one for node in inputs for one in constants(node) if one.data.dtype == np.int8]


def feeders(operation: Any) -> list[str]:
    """The types of the operations that an operation reads."""
    return [operation.input_value(at).get_node().get_type_name() for at in range(operation.get_input_size())]


def test_the_convolutions_between_pixels_and_pooling_have_int8_inputs_and_weights_of_half_the_range(
    graph: Any,
) -> None:
    convolutions = [operation for operation in graph.get_ops() if operation.get_type_name() in CONVOLUTIONS]
    assert len(convolutions) == 81
    quantized = [operation for operation in convolutions if int8_constants(operation)]
    assert len(quantized) == 81 - 1 - 2 * 16, "all but the first one and two of each squeeze-and-excite gate"
    for convolution in quantized:
        assert feeders(convolution)[0] == "FakeQuantize"
        weights = int8_constants(convolution)
        # Of 128, so that two products fit in 16 bits. NNCF leaves depthwise ones alone: they add up nine products.
        if convolution.get_type_name() == "Convolution":
            assert np.abs(weights[0].data.astype(np.int32)).max() <= 64


def test_the_convolution_that_reads_pixels_stays_float(graph: Any) -> None:
    first = [
        operation
        for operation in graph.get_ops()
        if operation.get_type_name() in CONVOLUTIONS and operation.input_value(0).get_partial_shape()[1] == 3
    ]
    assert len(first) == 1
    assert not int8_constants(first[0]) and "FakeQuantize" not in feeders(first[0])


def test_what_is_averaged_over_a_photo_stays_float_up_to_the_product_it_ends_in(graph: Any) -> None:
    averages = [operation for operation in graph.get_ops() if operation.get_type_name() == "ReduceMean"]
    assert len(averages) == 17, "16 squeeze-and-excite gates, and the photo's features"
    for operation in averages:
        assert "FakeQuantize" not in feeders(operation)
        while operation.get_type_name() != "Multiply":
            (target,) = operation.output(0).get_target_inputs()
            operation = target.get_node()
            assert not int8_constants(operation) and "FakeQuantize" not in feeders(operation)


def test_the_text_branch_and_all_that_follows_the_pooling_stay_float(graph: Any) -> None:
    names = {operation.get_type_name() for operation in graph.get_ops()}
    assert names & set(_WITH_BODY), "the LSTM is there"
    for operation in graph.get_ops():
        if operation.get_type_name() in _WITH_BODY:
            inside = [inner.get_type_name() for inner in operation.get_function().get_ops()]
            assert "FakeQuantize" not in inside
        if operation.get_type_name() == "FakeQuantize":
            assert operation.output(0).get_partial_shape().rank.get_length() == 4, "a map of the photo"
        if operation.get_type_name() in ("MatMul", "Gather"):
            assert "FakeQuantize" not in feeders(operation) and not int8_constants(operation)


def test_floats_are_in_half_precision_where_that_loses_nothing(graph: Any) -> None:
    wide = [
        operation
        for operation in graph.get_ops()
        if operation.get_type_name() == "Constant" and operation.get_element_type() == load_openvino().Type.f32
    ]
    with np.errstate(over="ignore"):
        lossless = [one for one in wide if np.array_equal(one.data.astype(np.float16).astype(np.float32), one.data)]
    assert wide and not lossless


def test_the_same_rows_give_the_same_bytes_and_no_name_of_the_process(
    model: Bundle, rows: list[Row], ir: dict[str, bytes]
) -> None:
    assert quantize(model.files, rows) == ir
    assert b"/tmp/" not in ir["openvino/model_int8.xml"] and b"saved_model" not in ir["openvino/model_int8.xml"]


# --- what NNCF does to its host ------------------------------------------------------------------------------------


def test_nncf_says_nothing_opens_no_connection_and_writes_nothing_at_home(tmp_path: Path) -> None:
    """Loaded and used in a process of its own: under pytest, NNCF switches its telemetry off by itself."""
    program = (
        "import logging, sys\n"
        "def report(event, arguments):\n"
        "    if event.startswith('socket.'): sys.stderr.write(f'{event} {arguments}\\n')\n"
        "sys.addaudithook(report)\n"
        "from training.release import quantization\n"
        "assert 'nncf' not in sys.modules\n"
        "nncf = quantization.load_nncf()\n"
        "import numpy as np\n"
        "from openvino import Model, opset8\n"
        "image = opset8.parameter([1, 2, 8, 8], np.float32, name='image')\n"  # not 3: that one stays float
        "weights = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype(np.float32)\n"
        "convolution = opset8.convolution(image, opset8.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])\n"
        "row = {'image': np.ones((1, 2, 8, 8), np.float32)}\n"
        "made = quantization._quantized(Model([convolution], [image]), [row])\n"
        "assert 'FakeQuantize' in [operation.get_type_name() for operation in made.get_ops()]\n"
        "assert sys.modules.get('openvino_telemetry') is None\n"
        "assert logging.getLoggerClass() is logging.Logger\n"
    )
    (tmp_path / "home").mkdir()
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    environment.pop("CI", None)  # its telemetry keeps quiet there by itself
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert list((tmp_path / "home").iterdir()) == []
