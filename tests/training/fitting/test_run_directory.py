"""A run's directory: it is of one recipe and one training set, and each epoch has one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.errors import ConfigError
from tests import training_set
from training.fitting import run_directory
from training.fitting.recipe import Recipe


def _recipe(data: Path, output: Path, **changes: Any) -> Recipe:
    stages = [{"image_size": 32, "epochs": 1}]
    return Recipe.model_validate({"data": data, "output": output, "stages": stages, **changes})


def test_a_run_goes_on_with_the_same_recipe_from_another_place(tmp_path: Path) -> None:
    data = training_set.write(tmp_path / "data")
    run_directory.start(_recipe(data, tmp_path / "run"))
    data.rename(tmp_path / "moved")
    run_directory.start(_recipe(tmp_path / "moved", tmp_path / "run", checkpoint_minutes=1))
    assert str(tmp_path) not in (tmp_path / "run" / "recipe.yaml").read_text()


def test_another_recipe_is_refused_by_the_names_of_its_changed_keys(tmp_path: Path) -> None:
    data = training_set.write(tmp_path / "data")
    run_directory.start(_recipe(data, tmp_path / "run"))
    expected = r"with its first settings \(recipe.yaml\). Received: another dropout, seed. Choose another output"
    with pytest.raises(ConfigError, match=expected):
        run_directory.start(_recipe(data, tmp_path / "run", seed=8, dropout=0.5))


def test_another_training_set_is_refused(tmp_path: Path) -> None:
    data = training_set.write(tmp_path / "data")
    run_directory.start(_recipe(data, tmp_path / "run"))
    (data / "test").rename(data / "other")
    (data / "train").rename(data / "test")
    (data / "other").rename(data / "train")
    with pytest.raises(ConfigError, match=r"with its first settings \(data.json\). Received: another counts, digest"):
        run_directory.start(_recipe(data, tmp_path / "run"))


def test_a_line_without_its_checkpoint_is_cut(tmp_path: Path) -> None:
    run_directory.cut_history(tmp_path, 0)
    assert not (tmp_path / "history.jsonl").exists()
    for epoch in range(3):
        run_directory.append_history(tmp_path, {"epoch": epoch})
    run_directory.cut_history(tmp_path, 2)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
