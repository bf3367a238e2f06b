"""Export: rounded weights, no loss in the IR, parity that decides what is offered, and the same bytes each time."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load, save_file

from fashion_udf.errors import BundleError
from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.prediction import Predict, Prediction
from fashion_udf.model.engines.tensorflow import load_weights, weights_by_name
from tests import tiny_model
from tests.submit import REPOSITORY
from training import export
from training.release import facts as facts_of_run
from training.release.weights import round_to_half


@pytest.fixture(scope="module")
def exported() -> Bundle:
    return bundle.read(str(tiny_model.directory()))


def test_stored_weights_are_half_precision_and_name_every_variable(exported: Bundle) -> None:
    stored = load(exported.files["weights.safetensors"])
    assert stored.keys() == weights_by_name(tiny_model.model()).keys()
    assert {str(value.dtype) for value in stored.values()} == {"float16", "int64"}  # one count of examples


def test_rounding_a_rounded_model_changes_nothing(exported: Bundle) -> None:
    values = sum(map(len, tiny_model.ATTRIBUTES.values()))
    model = tiny_model.build_model(len(tiny_model.LABELS), tiny_model.VOCABULARY_SIZE, values)
    load_weights(model, exported.files["weights.safetensors"])
    assert round_to_half(model) == exported.files["weights.safetensors"]


@pytest.mark.parametrize("value", [1e6, np.nan])
def test_a_weight_that_half_precision_cannot_hold_is_named(value: float) -> None:
    model = tiny_model.build_model(3, 10)
    bias = model.get_layer("classifier").bias
    bias.assign([0.0, value, 0.0, 0.0])
    with pytest.raises(BundleError, match="Expected weight classifier/bias to be finite in half precision"):
        round_to_half(model)


def test_the_manifest_states_parity_versions_and_every_figure(exported: Bundle) -> None:
    manifest = exported.manifest
    assert manifest.engines == {"openvino": ["f32"], "tensorflow": ["f32"]}
    for facts in manifest.parity.values():
        assert (facts.rows, facts.same_top1) == (16, 16)
        assert facts.largest_difference < 1e-4
    assert manifest.parity.keys() == {"openvino f32", "tensorflow f32"}
    assert manifest.not_measured.keys() == {"openvino bf16", "openvino int8"}
    assert manifest.library_versions.keys() >= {"keras", "openvino", "tensorflow", "tokenizers"}
    assert manifest.metrics == tiny_model.facts().metrics
    assert manifest.calibration == tiny_model.facts().calibration
    assert [(each.name, tuple(each.values)) for each in manifest.attributes] == [*tiny_model.ATTRIBUTES.items()]
    assert exported.taxonomy.parent("Shirts") == "Upper garments"
    assert exported.files["NOTICE"] == b"Untrained weights.\n"


def test_the_model_card_is_made_of_the_manifests_facts(exported: Bundle) -> None:
    card = exported.files["MODEL_CARD.md"].decode()
    for fact in [
        "# tiny",
        "### f32\n\nThe test split: 8 products of known categories and 0 others.",
        "| both | 8 | 0.5000 (0.2500 to 0.7500) | 0.2500 (0.2500 to 0.7500) |",
        "| photo and text, html | 8 | 0.3750 | (0.2500 to 0.7500) | 0.0100 | 0.0000 | - |",
        "| text alone, other products | 4 | 0.8750 |",
        "| f32 | image | category | 1.5000 | 0.9000 | 0.5000 | 0.5000 |",
        "| int8 | text | base_colour | 0.8000 |",
        "## Origin and licences\n\nUntrained weights.\n\n## Figures",
        "- Upper garments: Dresses, Shirts\n\nEvery other category is its own parent.",
        "- base_colour: Red, Navy Blue, Black",
        "| train | 8 |",
        "| openvino f32 | yes | 16 of 16 |",
        "openvino int8 is not offered, for it was not measured: the export had no training set.",
        *tiny_model.LABELS,
    ]:
        assert fact in card, fact


def test_nothing_in_the_bundle_names_this_machine(exported: Bundle) -> None:
    for name, content in exported.files.items():
        assert not re.search(rb"/tmp/|/home/|/work/|/root/|saved_model", content), name


def test_an_engine_that_fails_parity_is_not_offered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle
) -> None:
    actual = registry.ENGINES["openvino"]

    def inexact(model: Bundle, precision: str, threads: int) -> Predict:
        predict = actual(model, precision, threads)

        def shifted(*inputs: Any) -> Prediction:
            prediction = predict(*inputs)
            return dataclasses.replace(prediction, embedding=prediction.embedding + np.float32(0.01))

        return shifted

    monkeypatch.setitem(registry.ENGINES, "openvino", inexact)
    monkeypatch.setattr(export.openvino_ir, "convert", lambda model: ir(exported))
    export.export(tiny_model.model(), tiny_model.facts(), tmp_path / "bundle")
    written = bundle.read(str(tmp_path / "bundle"))
    assert written.manifest.engines == {"tensorflow": ["f32"]}
    assert written.manifest.parity["openvino f32"].largest_difference == pytest.approx(0.01, abs=1e-4)
    assert not [name for name in written.files if name.startswith("openvino")]


def test_an_export_that_no_engine_reproduces_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle
) -> None:
    def nothing(model: Bundle, precision: str, threads: int) -> Predict:
        return lambda pixels, *_: Prediction(
            *(np.full((len(pixels), width), np.nan, np.float32) for width in (256, 4, 5))
        )

    monkeypatch.setitem(registry.ENGINES, "openvino", nothing)
    monkeypatch.setitem(registry.ENGINES, "tensorflow", nothing)
    monkeypatch.setattr(export.openvino_ir, "convert", lambda model: ir(exported))
    with pytest.raises(BundleError, match="Expected an engine that agrees with the Keras model. Received: "):
        export.export(tiny_model.model(), tiny_model.facts(), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def ir(exported: Bundle) -> dict[str, bytes]:
    return {name: data for name, data in exported.files.items() if name.startswith("openvino/")}


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `training.train` leaves."""
    path, told = tmp_path_factory.mktemp("run"), tiny_model.facts()
    weights = {name: np.asarray(variable) for name, variable in weights_by_name(tiny_model.model()).items()}
    save_file(weights, path / "weights.safetensors")
    (path / "tokenizer.json").write_bytes(told.tokenizer)
    recipe = {**told.recipe, "data": "/secret/place", "output": "/secret/run", "backbone_weights": "/secret/none"}
    (path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (path / "taxonomy.yaml").write_text(yaml.safe_dump({name: [*names] for name, names in told.families.items()}))
    for name, value in [
        ("labels", told.labels),
        ("attributes", [{"name": name, "values": values} for name, values in told.attributes.items()]),
        ("calibration", {name: fitted.model_dump() for name, fitted in told.calibration["f32"].items()}),
        ("metrics", told.metrics["f32"]),
        ("data", told.data),
    ]:
        (path / f"{name}.json").write_text(json.dumps(value))
    return path


def test_a_bundle_tells_how_it_was_trained_and_not_where() -> None:
    recipe = {
        "taxonomy": "/t",
        "data": "/a",
        "output": "/b",
        "backbone_weights": "/c/imagenet.h5",
        "initial_bundle": f"/d@{'1' * 64}",
    }
    assert facts_of_run._without_paths(recipe) == {"backbone_weights": "imagenet.h5", "initial_bundle": "1" * 64}


def test_the_command_gives_the_same_bytes_as_another_process(
    run_directory: Path, tmp_path: Path, exported: Bundle
) -> None:
    arguments = ["--run", str(run_directory), "--output", str(tmp_path / "bundle"), "--name", "tiny"]
    done = subprocess.run(
        [sys.executable, "-m", "training.export", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    written = bundle.read(done.stdout.strip())
    assert done.stdout == f"{tmp_path / 'bundle'}@{written.model_version}\n"
    assert (
        written.files["NOTICE"].decode().startswith("Weights\n\nAll weights were trained from random ones.\n\nData\n\n")
    )
    told = ("NOTICE", "MODEL_CARD.md")  # the command makes the notice itself
    same = {name: data for name, data in written.files.items() if name not in told}
    assert same == {name: data for name, data in exported.files.items() if name not in told}
    changed = {"files": {}, "calibration": {"f32": tiny_model.calibration()}}
    assert written.manifest.model_copy(update=changed) == exported.manifest.model_copy(update=changed)


@pytest.mark.parametrize(
    "missing", ["metrics.json", "weights.safetensors", "recipe.yaml", "attributes.json", "taxonomy.yaml"]
)
def test_an_unfinished_run_is_refused_with_the_missing_file(run_directory: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(run_directory, tmp_path / "run")
    (tmp_path / "run" / missing).unlink()
    with pytest.raises(BundleError, match=f"Expected a finished run of training.train in .* Received: .*{missing}"):
        export.read_run(tmp_path / "run", "tiny")
