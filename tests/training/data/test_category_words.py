"""Words of category names: gone in singular and plural, in any case, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data import category_words

WORDS = category_words.forms(["Tshirts", "Casual Shoes", "Dresses", "Scarves", "Accessories", "Perfume and Body Mist"])


@pytest.mark.parametrize(
    ("title", "left"),
    [
        ("Puma Men Black TSHIRT", "Puma Men Black"),
        ("Puma Men Polo T-shirts, Black", "Puma Men Polo Black"),
        ("Red dress", "Red"),
        ("Silk Scarf & Dresses", "Silk &"),
        ("Scarfs for casual days", "for days"),
        ("One accessory", "One"),
        ("Shoe/Boot", "/Boot"),
        ("Dressed  in  shoelaces", "Dressed in shoelaces"),
        ("", ""),
    ],
)
def test_category_words_go_and_others_stay(title: str, left: str) -> None:
    assert category_words.without(title, WORDS) == left


def test_no_synonym_is_known() -> None:
    assert category_words.without("A tee and sneakers", WORDS) == "A tee sneakers"


@given(st.lists(st.text(alphabet="abcxys", min_size=1, max_size=6), min_size=1, max_size=4))
def test_nothing_is_left_of_a_title_of_category_words(words: list[str]) -> None:
    forms = category_words.forms([" ".join(words)])
    assert category_words.without(" ".join(words).upper(), forms) == ""
    assert category_words.without(" ".join(word + "s" for word in words if word[-1] in "abc"), forms) == ""


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=4))
def test_a_second_time_changes_nothing(title: str, labels: list[str]) -> None:
    words = category_words.forms(labels)
    assert "" not in words
    once = category_words.without(title, words)
    assert category_words.without(once, words) == once
    assert len(once) <= len(title)
