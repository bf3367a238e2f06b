"""Engines: the same numbers from each, whatever the batch and the padding; refused by name when they cannot run."""

from __future__ import annotations

import dataclasses
import os
import pickle
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from fashion_udf.errors import ConfigError, EngineError, EnvironmentUnsupportedError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.prediction import Predict, calibrated
from tests.model.engines.drawn_rows import rows
from tests.submit import REPOSITORY


@pytest.fixture(scope="module")
def predict(engine: str, model: Bundle) -> Predict:
    return registry.create(engine, model, "f32", threads=1)


# --- numbers -------------------------------------------------------------------------------------------------------


def test_outputs_have_the_declared_shapes_and_unit_length(model: Bundle, predict: Predict) -> None:
    prediction = predict(*rows(5))
    assert (prediction.embedding.shape, prediction.embedding.dtype) == ((5, 256), np.float32)
    assert (prediction.logits.shape, prediction.logits.dtype) == ((5, len(model.manifest.labels) + 1), np.float32)
    assert (prediction.attributes.shape, prediction.attributes.dtype) == ((5, 5), np.float32)
    np.testing.assert_allclose(np.linalg.norm(prediction.embedding, axis=1), 1.0, atol=1e-5)


def test_a_model_without_attributes_has_none_in_its_predictions(model: Bundle) -> None:
    plain = dataclasses.replace(model, manifest=model.manifest.model_copy(update={"attributes": []}))
    assert registry.build("openvino", plain, "f32", 1)(*rows(5)).attributes.shape == (5, 0)


def test_a_row_scores_alone_as_in_a_batch(predict: Predict) -> None:
    pixels, present, token_ids = rows(20)
    together = predict(pixels, present, token_ids)
    for row in range(len(pixels)):
        alone = predict(pixels[row : row + 1], present[row : row + 1], token_ids[row : row + 1])
        np.testing.assert_allclose(alone.logits[0], together.logits[row], atol=1e-5)
        np.testing.assert_allclose(alone.embedding[0], together.embedding[row], atol=1e-5)
        np.testing.assert_allclose(alone.attributes[0], together.attributes[row], atol=1e-5)


def test_padding_to_100_tokens_changes_nothing(predict: Predict) -> None:
    pixels, present, token_ids = rows(12)
    padded = np.pad(token_ids, ((0, 0), (0, 100 - token_ids.shape[1])))
    np.testing.assert_allclose(
        predict(pixels, present, padded).logits, predict(pixels, present, token_ids).logits, atol=1e-5
    )


def test_the_pixels_of_an_absent_photo_change_nothing(predict: Predict) -> None:
    pixels, _, token_ids = rows(4)
    absent = np.zeros((4, 1), np.float32)
    blank = np.full((4, 32, 32, 3), 255, np.uint8)
    np.testing.assert_allclose(
        predict(pixels, absent, token_ids).logits, predict(blank, absent, token_ids).logits, atol=1e-5
    )


def test_a_prediction_survives_the_next_one(predict: Predict) -> None:
    first = predict(*rows(4, seed=1))
    kept = first.logits.copy()
    predict(*rows(4, seed=2))
    np.testing.assert_array_equal(first.logits, kept)


def test_inputs_are_not_written_to(predict: Predict) -> None:
    inputs = rows(3)
    for array in inputs:
        array.setflags(write=False)
    predict(*inputs)


LOGITS = arrays.arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32))


@given(LOGITS, st.floats(0.01, 100))
def test_calibrated_probabilities_sum_to_one_and_keep_the_order(
    logits: NDArray[np.float32], temperature: float
) -> None:
    probabilities = calibrated(logits, temperature)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    best = probabilities[np.arange(3), logits.argmax(axis=1)]
    np.testing.assert_array_equal(best, probabilities.max(axis=1))


def test_a_temperature_for_each_row() -> None:
    logits = np.log(np.asarray([[1, 3], [1, 3]], np.float32))
    probabilities = calibrated(logits, np.asarray([[1.0], [0.5]]))
    np.testing.assert_allclose(probabilities, [[0.25, 0.75], [0.1, 0.9]], atol=1e-6)


# --- choosing and starting --------------------------------------------------------------------------------------------


def test_an_unknown_engine_lists_the_known_ones(model: Bundle) -> None:
    with pytest.raises(ConfigError, match=r"one of \['openvino', 'tensorflow'\]. Received: 'onnx'"):
        registry.create("onnx", model, "f32", 1)


def test_a_precision_that_the_bundle_does_not_offer_is_refused(model: Bundle) -> None:
    with pytest.raises(ConfigError, match=r"offers for openvino: \['f32'\]. Received: 'int8'"):
        registry.create("openvino", model, "int8", 1)


@pytest.mark.parametrize("name", ["openvino", "tensorflow"])
def test_missing_package_names_the_extra_to_install(model: Bundle, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for package in (name, "keras"):  # the tensorflow engine imports Keras first
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnvironmentUnsupportedError, match=rf"pip install 'fashion-udf\[{name}\]'. Received: "):
        registry.create(name, model, "f32", 1)


def test_an_ir_that_openvino_cannot_read_is_an_engine_error(model: Bundle) -> None:
    broken = dataclasses.replace(model, files={**model.files, "openvino/model.xml": b"<net/>"})
    with pytest.raises(EngineError, match="Expected openvino to start with model .* Received: RuntimeError: "):
        registry.create("openvino", broken, "f32", 1)


def test_int8_runs_the_int8_graph_alone(model: Bundle) -> None:
    files = {name: data for name, data in model.files.items() if not name.startswith("openvino/")}
    for kind in ("xml", "bin"):  # which graph is run is what is asked here
        files[f"openvino/model_int8.{kind}"] = model.files[f"openvino/model.{kind}"]
    moved = dataclasses.replace(model, files=files)
    assert registry.build("openvino", moved, "int8", 1)(*rows(2)).logits.shape == (2, len(model.manifest.labels) + 1)
    with pytest.raises(EngineError, match="Expected openvino to start with model .* Received: KeyError: "):
        registry.build("openvino", moved, "f32", 1)


def test_a_cpu_without_bf16_is_refused_by_name(model: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.openvino, "has_bf16", lambda: False)
    with pytest.raises(EngineError, match=f"Expected a CPU with bf16 .* Received: host {platform.node()} without it"):
        registry.build("openvino", model, "bf16", 1)


@pytest.mark.parametrize(("precision", "hint"), [("f32", "f32"), ("bf16", "bf16"), ("int8", "f32")])
def test_what_is_float_runs_in_the_precision_that_was_measured(
    model: Bundle, monkeypatch: pytest.MonkeyPatch, precision: str, hint: str
) -> None:
    class Core:
        """Compiles nothing: this machine may lack bf16."""

        def read_model(self, xml: bytes, weights: bytes) -> None:
            assert (xml, weights) == (b"xml", b"bin")

        def compile_model(self, _: None, device: str, settings: dict[str, object]) -> None:
            compiled.append((device, settings["INFERENCE_PRECISION_HINT"], settings["INFERENCE_NUM_THREADS"]))

    compiled: list[tuple[object, ...]] = []
    monkeypatch.setattr(registry.openvino, "has_bf16", lambda: True)
    monkeypatch.setattr(registry.openvino, "load_openvino", lambda: SimpleNamespace(Core=Core))
    graph = "openvino/model_int8" if precision == "int8" else "openvino/model"
    files = {f"{graph}.xml": b"xml", f"{graph}.bin": b"bin"}
    registry.build("openvino", dataclasses.replace(model, files=files), precision, 3)
    assert compiled == [("CPU", hint, 3)]


# --- what an engine does to its host -------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"


def test_scoring_with_openvino_loads_no_tensorflow_opens_no_connection_and_writes_nothing_at_home(
    model: Bundle, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "bundle.pickle").write_bytes(pickle.dumps(model))
    program = (
        "import pickle, socket, sys, threading\n"
        "def refuse(event, arguments):\n"
        "    if event.startswith('socket.'): sys.stdout.write(f'{event} {arguments}\\n')\n"
        "sys.addaudithook(refuse)\n"
        "from fashion_udf.model.engines import registry\n"
        "assert not {'openvino', 'tensorflow', 'keras'} & set(sys.modules)\n"
        "from fashion_udf.scoring.scorer import Scorer, Settings\n"
        "model = pickle.load(open(sys.argv[1], 'rb'))\n"
        "settings = Settings('openvino', 'f32', 16, 5, 'none', (), 1, 1)\n"
        "predict = registry.create('openvino', model, 'f32', 1)\n"
        "scores = Scorer(model, settings, predict).score(['hat'], [None], [None])\n"
        "assert scores['model_category'][0] in model.manifest.labels\n"
        "assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)\n"
        "sys.stdout.write(f'{threading.active_count()} thread\\n')\n"
    )
    environment = {
        **os.environ,
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    environment.pop("CI", None)  # openvino's telemetry keeps quiet there by itself
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "bundle.pickle")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("1 thread\n", 0), done.stderr
    assert list(home.iterdir()) == []
