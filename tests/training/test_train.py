"""A whole training run as a user starts it: killed, started again, exported, and measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from safetensors.numpy import load, load_file

from fashion_udf.model import bundle
from fashion_udf.model.engines.tensorflow import weights_by_name
from tests import tiny_model, training_set
from tests.submit import REPOSITORY
from training import train
from training.fitting.recipe import Recipe
from training.fitting.strategy import choose_strategy

RECIPE = {
    "vocabulary_size": 300,
    "batch_size": 16,
    "warmup_epochs": 0,
    "stages": [{"image_size": 32, "epochs": 2}],
    "loss_weights": {"words": 0.5},
    "text_augmentation": {},
}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"training.{module}", *arguments]
    return subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)


def _kill_after_first_epoch(arguments: list[str], history: Path) -> None:
    command = [sys.executable, "-m", "training.train", *arguments]
    with subprocess.Popen(command, env=_environment(), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not history.exists():
            time.sleep(0.05)
        time.sleep(1.0)  # the checkpoint follows the line of history
        process.kill()


@pytest.mark.timeout(900)
def test_a_killed_run_goes_on_and_ends_in_a_bundle_that_can_be_measured(tmp_path: Path) -> None:
    data = training_set.write(tmp_path / "data")
    config, run = tmp_path / "recipe.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump({**RECIPE, "data": str(data), "output": str(run)}))
    _kill_after_first_epoch(["--config", str(config)], run / "history.jsonl")
    assert not (run / "weights.safetensors").exists()

    done = _run("train", "--config", str(config))
    assert done.returncode == 0, done.stderr
    assert "strategy: OneDeviceStrategy, 1 replica(s)" in done.stderr
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history][-1] == 1
    assert [line["epoch"] for line in history].count(1) == 1
    assert all(line["loss"] > 0 and line["photos_per_second"] > 0 for line in history)
    assert {str(value.dtype) for value in load_file(run / "weights.safetensors").values()} == {"float16", "int64"}

    exported = _run("export", "--run", str(run), "--output", str(tmp_path / "bundle"))
    assert exported.returncode == 0, exported.stderr
    manifest = bundle.read(exported.stdout.strip()).manifest
    assert manifest.training_data.counts == training_set.COUNTS
    assert str(tmp_path) not in manifest.model_dump_json()

    outputs = ["--json", f"{tmp_path}/m", "--report", f"{tmp_path}/report"]
    evaluated = _run("evaluate", "--bundle", str(tmp_path / "bundle"), "--data", str(data), *outputs)
    assert evaluated.returncode == 0, evaluated.stderr
    heads = evaluated.stdout.splitlines()[0].split()
    assert heads[:6] == ["modality", "rows", "accuracy", "precision", "recall", "F1"]
    assert evaluated.stdout.splitlines()[-1] == f"{tmp_path}/report/index.html"
    assert "TF-IDF + logistic regression" in (tmp_path / "report" / "index.html").read_text()
    measured = json.loads((tmp_path / "m").read_text())
    assert measured["data"]["split_of_the_model"]
    # The manifest's figures are those of the Keras model with the released weights; the engine repeats them.
    for modality, row in manifest.metrics["f32"]["as_given"].items():
        row.pop("intervals")
        repeated = {name: measured["as_given"][modality].get(name) for name in row}
        assert repeated == pytest.approx(row, abs=0.07), modality
    assert measured["forms"]["text"].keys() == manifest.metrics["f32"]["forms"]["text"].keys()


def test_a_training_set_that_is_not_there_ends_with_exit_code_2(tmp_path: Path) -> None:
    arguments = ["--set", f"data={tmp_path}/none", "--set", f"output={tmp_path}/run"]
    done = _run("train", "--config", str(REPOSITORY / "conf" / "train.yaml"), *arguments)
    assert done.returncode == 2
    assert "error: Expected Parquet files, as fashion-udf training-set writes them." in done.stderr


def test_backbone_weights_that_cannot_be_had_end_with_exit_code_2(tmp_path: Path) -> None:
    data = training_set.write(tmp_path / "data")
    (tmp_path / "weights.h5").write_bytes(b"no weights")
    arguments = ["--set", f"data={data}", "--set", f"output={tmp_path}/run"]
    arguments += ["--set", f"backbone_weights={tmp_path}/weights.h5"]
    done = _run("train", "--config", str(REPOSITORY / "conf" / "train.yaml"), *arguments)
    assert done.returncode == 2
    assert "error: Expected backbone_weights to be 'none', a weights file, or 'imagenet' with a network" in done.stderr


def test_training_starts_with_the_weights_and_the_tokenizer_of_another_bundle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, initial = training_set.write(tmp_path / "data"), bundle.read(str(tiny_model.directory()))
    pinned = f"{tiny_model.directory()}@{initial.model_version}"
    recipe = Recipe.model_validate({**RECIPE, "data": data, "output": tmp_path / "run", "initial_bundle": pinned})
    preparation = train.prepare(recipe, initial)
    assert preparation.tokenizer == initial.files["tokenizer.json"]
    with caplog.at_level("INFO"):
        trained = train.build(recipe, choose_strategy(), preparation, initial)
    assert f"new heads: classifier ({len(preparation.labels)} categories, of which the bundle has " in caplog.text
    stored = load(initial.files["weights.safetensors"])
    for model in (trained.model, trained.averaged):
        assert model.output["logits"].shape[-1] == len(preparation.labels) + 1
        for name, weight in weights_by_name(model).items():
            if not name.startswith(("classifier/", "attributes/")):
                np.testing.assert_array_equal(np.asarray(weight), stored[name].astype(np.float32), err_msg=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial_bundle": "build/bundle"}, "pattern"),
        ({"initial_bundle": f"a@{'0' * 64}", "backbone_weights": "imagenet"}, "leave backbone_weights at none"),
    ],
)
def test_a_run_has_one_beginning_and_its_bundle_is_pinned(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate({**RECIPE, "data": "in", "output": "out", **changes})
