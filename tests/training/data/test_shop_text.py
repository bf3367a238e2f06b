"""Augmented text: the same seed gives the same text, nothing is lost by accident, and no slot is left open."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fashion_udf.model.tokenizer import product_text
from training.data import category_words, sentence_grammar, shop_text
from training.data.shop_text import TextAugmentation, augmented

ROWS = [
    ("Northway Men Blue Jeans", "Jeans"),
    ("Lola Women Black Casual Shoes", "Casual Shoes"),
    ("Orbit Kids Red T-shirt", "Tshirts"),
    ("Alma Women Gold Watch", "Watches"),
    ("Petal Perfume", "Perfume and Body Mist"),
    ("Siena Silver Necklace", "Necklace and Chains"),
    ("Duo Accessory Gift Set", "Accessory Gift Set"),
    ("Hansel Men Pack of 2 Briefs", "Briefs"),
    ("Dora Free Gift", "Free Gifts"),
]
OWN = "Summer goods, one colour."
OFF = TextAugmentation(**{name: 0.0 for name in TextAugmentation.model_fields})
PROBABILITIES = [name for name in TextAugmentation.model_fields if name != "dropped_share"]


def only(**on: float) -> TextAugmentation:
    return OFF.model_copy(update=on)


def texts(settings: TextAugmentation, count: int = 200) -> Iterator[tuple[str, str, str, str]]:
    """Title, category, and the two lines of an augmented text."""
    for seed in range(count):
        title, category = ROWS[seed % len(ROWS)]
        first, _, second = augmented(title, OWN, random.Random(seed), settings, category).partition("\n")
        yield title, category, first, second


def test_the_same_seed_gives_the_same_text() -> None:
    assert list(texts(TextAugmentation())) == list(texts(TextAugmentation()))
    assert len(set(texts(TextAugmentation()))) > 120  # of 200: many lose their description, and no more


@given(st.text(), st.text(), st.integers(), st.none() | st.text())
def test_all_off_is_unchanged(title: str, description: str, seed: int, category: str | None) -> None:
    assert augmented(title, description, random.Random(seed), OFF, category) == product_text(title, description)


#: Without what may be a tag or an entity: those that are left when others are read are read the next time.
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<&"))


@given(PLAIN, PLAIN, st.integers(), st.none() | st.text())
def test_any_row_gives_a_text(title: str, description: str, seed: int, category: str | None) -> None:
    for settings in (TextAugmentation(), only(foreign_sentences=1, other_category=1, sku=1, html=1, cut=1, repeat=1)):
        text = augmented(title, description, random.Random(seed), settings, category)
        assert text == product_text(text.partition("\n")[0], text.partition("\n")[2])


WORDS = st.lists(st.text(alphabet="abcdeABC0123&'", min_size=1, max_size=8), min_size=1, max_size=10)


@given(WORDS, st.integers(), st.sampled_from([category for _, category in ROWS]))
def test_the_titles_words_survive(words: list[str], seed: int, category: str) -> None:
    settings = TextAugmentation(drop_words=0, category_in_description=0, sku=0.5, shuffle=0.5)
    title = augmented(" ".join(words), OWN, random.Random(seed), settings, category).partition("\n")[0].split()
    assert not [word for word in words if title.count(word) < words.count(word)]


@given(WORDS, st.integers(), st.floats(0, 0.99))
def test_a_title_never_loses_all_its_words(words: list[str], seed: int, share: float) -> None:
    text = augmented(" ".join(words), "", random.Random(seed), only(drop_words=1, dropped_share=share))
    assert text and set(text.split()) <= set(words)


@pytest.mark.parametrize("category", ["Jeans", "Free Gifts", "Tops", None])
def test_every_sentence_can_be_filled(category: str | None) -> None:
    phrases = shop_text.grammar().phrases(category)
    draws = random.Random(1)
    for pool in phrases.languages.values():
        assert pool.general and bool(pool.styling) == bool(category)
        for template in (*pool.general, *pool.styling):
            assert not set("{}%") & set(phrases.render(template, draws, {}).replace("%", "", 1))
    for template in phrases.naming:
        assert "thing" in phrases.render(template, draws, {"category": "thing"}).casefold()
    assert not {"#", "@"} & set("".join(phrases.code(draws) for _ in range(200)))


def test_no_sentence_names_the_products_own_category_unless_asked() -> None:
    settings = only(foreign_sentences=0.9, keywords=0.1, other_category=1, html=0.2)
    for title, category, first, second in texts(settings, 900):
        own = category_words.forms([category]) - {"and"}
        assert first == title
        assert category_words.without(second, own) == " ".join(second.split()), category


def test_another_category_is_named_only_for_a_known_one() -> None:
    for title, category in ROWS:
        text = augmented(title, "", random.Random(3), only(other_category=1), category)
        assert text.count("\n") == 1
        assert augmented(title, "", random.Random(3), only(other_category=1)) == title


def test_a_phrase_is_not_used_for_the_categories_it_stands_for() -> None:
    slots = shop_text.grammar().phrases("Casual Shoes").slots
    assert not {"sneakers", "running shoes", "loafers"} & set(slots["other_category"])
    assert "Turnschuhen" not in slots["other_category_de"] and "einem Schal" in slots["other_category_de"]


def test_the_categorys_words_move_into_a_sentence() -> None:
    for title, category, first, second in texts(only(category_in_description=1)):
        own = sentence_grammar.own_words(category)
        moved = [word for word in title.split() if sentence_grammar.names(own, word)]
        assert moved and not sentence_grammar.names(own, first)
        assert " ".join(moved).lower() in second.lower() and OWN in second
        assert first.split() == [word for word in title.split() if word not in moved]


def test_the_categorys_words_also_stand_within_sentences_that_name_no_category() -> None:
    settings = only(category_in_description=1, foreign_sentences=1)
    seen = [augmented("Lee Men Blue Jeans", "", random.Random(n), settings, "Jeans").lower() for n in range(200)]
    assert all("jeans" in text.partition("\n")[2] for text in seen)
    before = {text.split()[text.split().index("jeans") - 1] for text in seen if "jeans" in text.split()}
    assert len(before) > 60  # sentences that name a category have 18 different words there


def test_a_title_of_category_words_alone_keeps_them() -> None:
    assert augmented("Jeans", OWN, random.Random(1), only(category_in_description=1), "Jeans") == f"Jeans\n{OWN}"


def test_each_setting_changes_what_it_says() -> None:
    assert {second for _, _, _, second in texts(only(drop_description=1))} == {""}
    assert all(second.startswith(title) for title, _, _, second in texts(only(repeat=1)))
    assert all("<" in second and ">" in second for _, _, _, second in texts(only(html=1)) if OWN not in second)
    assert all(sorted(first.split()) == sorted(title.split()) for title, _, first, _ in texts(only(shuffle=1)))
    assert any(first != title for title, _, first, _ in texts(only(shuffle=1)))
    assert all(OWN not in second and second for _, _, _, second in texts(only(keywords=1)))
    assert all(first + second != title + OWN for title, _, first, second in texts(only(sku=1)))
    assert all(len(second) <= len(OWN) + 3 for _, _, _, second in texts(only(cut=1)))


def test_half_of_the_words_of_a_description_may_be_made_up() -> None:
    written = set(" ".join(shop_text.grammar().sentences()).lower().split())

    def share(settings: TextAugmentation) -> float:
        words = [word for _, _, _, second in texts(settings) for word in second.replace(OWN, "").lower().split()]
        return sum(word not in written for word in words) / len(words)

    plain = share(only(foreign_sentences=1))  # words of slots are not written in sentences
    assert plain + 0.3 < share(only(foreign_sentences=1, unknown_words=1)) < plain + 0.5
    moved = only(foreign_sentences=1, unknown_words=1, category_in_description=1)
    assert all("jeans" in augmented("Lee Blue Jeans", "", random.Random(n), moved, "Jeans").lower() for n in range(100))


def test_foreign_sentences_replace_the_description_or_mix_with_it() -> None:
    mixed = [OWN in second for _, _, _, second in texts(only(foreign_sentences=1), 500)]
    assert 0.4 < sum(mixed) / len(mixed) < 0.6
    languages = [second for _, _, _, second in texts(only(foreign_sentences=1), 500)]
    assert sum("é" in text or "ü" in text or "ó" in text for text in languages) > 20


@pytest.mark.parametrize("name", PROBABILITIES)
def test_a_probability_of_zero_or_more_than_one(name: str) -> None:
    assert getattr(TextAugmentation(**{name: 0.0}), name) == 0.0
    with pytest.raises(ValidationError):
        TextAugmentation(**{name: 1.5})


def test_the_kinds_of_description_are_at_most_one() -> None:
    with pytest.raises(ValidationError, match="must not be above 1 together"):
        TextAugmentation(drop_description=0.7, foreign_sentences=0.4)


def test_there_is_variety() -> None:
    sentences = list(shop_text.grammar().sentences())
    assert len(sentences) == len(set(sentences)) >= 300
    languages = shop_text.grammar().phrases("Jeans").languages
    assert len(languages) == 6 and min(len(pool.general) for pool in languages.values()) >= 10


def test_an_editor_draws_by_product_and_seed_and_keeps_the_first_line_for_the_title() -> None:
    edit, other = (shop_text.editor(shop_text.TextAugmentation(), seed) for seed in (1, 2))
    text = "Titan Women Silver Watch\nSilver, for casual wear."
    texts = [edit(f"p{number}", text, "Watches") for number in range(50)]
    assert texts == [edit(f"p{number}", text, "Watches") for number in range(50)]
    assert texts != [other(f"p{number}", text, "Watches") for number in range(50)] and len({*texts}) > 10
    plain = shop_text.editor(shop_text.TextAugmentation(**dict.fromkeys(shop_text.TextAugmentation.model_fields, 0)), 1)
    assert plain("p", text, "Watches") == text
