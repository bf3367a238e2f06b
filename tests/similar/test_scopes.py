"""The pools of a catalog follow from its categories and the table of compatible ones."""

from __future__ import annotations

import pytest

from fashion_udf.errors import ConfigError
from fashion_udf.model import bundle
from fashion_udf.similar import scopes


def test_products_search_their_own_category_or_all_of_them() -> None:
    assert scopes.pools("category", {}, ["b", "a"]) == scopes.Pools({"a": "a", "b": "b"}, {"a": ("a",), "b": ("b",)})
    assert scopes.pools("anywhere", {}, ["a"]) == scopes.Pools({"a": "*"}, {"a": ("*",)})


def test_a_category_searches_those_that_belong_to_it_and_with_substitutes_its_own() -> None:
    table = {"a": frozenset({"a", "b"}), "b": frozenset({"a"})}
    with_own = scopes.pools("compatible", table, ["a", "b", "c"])
    assert with_own.searched["a"] == with_own.searched["b"] != with_own.searched["c"] == "c"
    others = scopes.pools("complement", table, ["a", "b", "c"])
    assert others.searched == {"a": "b", "b": "a"}
    assert others.held == {"a": ("a",), "b": ("b",), "c": ()}


def test_the_name_of_a_pool_does_not_depend_on_the_catalog() -> None:
    table = {"a": frozenset({"b", "c"})}
    one, other = (scopes.pools("complement", table, names).searched["a"] for names in (["a", "b"], ["a", "z"]))
    assert one == other


def test_a_table_with_none_of_the_categories_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Expected categories of the products in the table .* none of a, b"):
        scopes.pools("compatible", {"x": frozenset({"y"})}, ["b", "a"])


@pytest.mark.parametrize("scope", ["compatible", "complement"])
def test_the_built_in_tables_name_categories_of_the_built_in_bundle_alone(scope: scopes.Scope) -> None:
    named = {name for category, others in scopes.built_in(scope).items() for name in (category, *others)}
    assert named - set(bundle.read("builtin").labels) == set()
