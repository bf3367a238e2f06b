"""Titles of other goods: many, no fashion, and those for training never of a kind that is for judging."""

from __future__ import annotations

import json
import re
from importlib import resources

from training.data import category_words, other_goods


def test_there_are_many_kinds_and_about_half_are_for_judging() -> None:
    training, judging = other_goods.nouns(), other_goods.nouns(held_out=True)
    assert len({*training, *judging}) == len(training) + len(judging) >= 250
    assert 0.4 < len(judging) / (len(training) + len(judging)) < 0.6


def test_thousands_of_titles_are_different_and_repeatable() -> None:
    titles = list(other_goods.titles(5000, seed=1))
    assert len(set(titles)) > 4500
    assert list(other_goods.titles(5000, seed=1)) == titles
    assert set(other_goods.titles(5000, seed=2)) != set(titles)
    assert all(title.strip() == title and "{" not in title and len(title) > 2 for title in titles)


def test_every_kind_comes_up_and_none_of_those_for_judging() -> None:
    said = " | ".join(title.casefold() for title in other_goods.titles(5000, seed=3))
    for noun in other_goods.nouns():
        assert re.search(rf"\b{re.escape(noun.casefold())}\b", said), noun
    for noun in other_goods.nouns(held_out=True):
        assert not re.search(rf"\b{re.escape(noun.casefold())}\b", said), noun


def test_titles_for_judging_are_of_kinds_for_judging() -> None:
    nouns = [noun.casefold() for noun in other_goods.nouns(held_out=True)]
    for title in other_goods.titles(500, seed=4, held_out=True):
        assert any(noun in title.casefold() for noun in nouns), title


def test_no_kind_is_a_category_of_the_built_in_model() -> None:
    """What a product is, is said by its noun's last word: a "shoe cabinet" is no shoe."""
    manifest = resources.files("fashion_udf").joinpath("bundles/builtin/manifest.json").read_text("utf-8")
    words = category_words.forms(json.loads(manifest)["labels"])
    named = [noun for held_out in (False, True) for noun in other_goods.nouns(held_out) if noun.split()[-1] in words]
    assert named == []
