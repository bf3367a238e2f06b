"""docs/configuration.md lists the keys of a recipe as training reads them."""

from __future__ import annotations

from tests.documented_keys import documented, keys_of
from training.fitting.recipe import Recipe


def test_every_key_of_a_recipe_is_listed_with_its_default() -> None:
    assert documented("Training") == dict(keys_of(Recipe))
