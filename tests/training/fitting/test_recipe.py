"""The recipes in conf/ are valid, and a recipe that cannot be meant is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashion_udf import config
from fashion_udf.errors import ConfigError
from fashion_udf.model import taxonomy
from tests.submit import REPOSITORY
from training.fitting.recipe import Recipe

PINNED = f"build/bundle@{'0' * 64}"


@pytest.mark.parametrize("name", ["train.yaml", "finetune.yaml", "published.yaml"])
def test_the_recipes_in_conf_are_valid(name: str) -> None:
    recipe = config.load(Recipe, REPOSITORY / "conf" / name)
    assert recipe.stages
    if recipe.taxonomy:
        content = (REPOSITORY / recipe.taxonomy).read_bytes()
        assert len(taxonomy.read_families(content, str(recipe.taxonomy))) > 10


def test_a_recipe_starts_with_a_bundle_or_with_weights_for_the_backbone_and_not_with_both() -> None:
    overrides = {"initial_bundle": PINNED, "backbone_weights": "imagenet"}
    with pytest.raises(ConfigError, match="initial_bundle has weights for the backbone too"):
        config.load(Recipe, Path(REPOSITORY / "conf" / "train.yaml"), overrides)
