"""The robustness set: each form is what its name says, comes from the product id, and shares nothing with training."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.model.tokenizer import product_text
from training.data import category_words, shop_text
from training.data.sentence_grammar import ENGLISH, Grammar, own_words
from training.data.shop_text import TextAugmentation
from training.evaluation import robustness_forms
from training.evaluation.robustness_forms import FORMS, form_texts

TITLES = ["Northway Men Blue Jeans", "Orbit & Co Kid's T-shirt", "Alma Women Gold Watch", "Duo Accessory Gift Set"] * 60
CATEGORIES = ["Jeans", "Tshirts", "Watches", "Accessory Gift Set"] * 60
OWN = ["Summer goods, one colour."] * len(TITLES)
IDS = [f"p{number}" for number in range(len(TITLES))]

#: What no sentence says by accident: parts of category names that are never a common word of a shop.
GARMENTS = category_words.forms(
    "shirt tshirt tee shoe sneaker boot sandal heel sole bag handbag purse clutch wallet belt buckle dress skirt jean "
    "jeans trouser pants shorts legging sock tie watch dial strap ring necklace earring bracelet scarf stole cap hat "
    "glove jacket coat sweater hoodie kurta saree top brief bra boxer vest collar sleeve suit tunic perfume lipstick "
    "set mask trunk flat robe track lounge mobile duffel laptop backpack umbrella sunglasses lace sling".split()
)


def texts(name: str) -> list[tuple[str, str, str, str]]:
    """Title, category, and the two lines of each text."""
    lines = [text.partition("\n") for text in form_texts(name, TITLES, OWN, CATEGORIES, IDS)]
    return [(t, c, first, second) for t, c, (first, _, second) in zip(TITLES, CATEGORIES, lines, strict=True)]


def runs(sentences: Iterable[str], length: int = 5) -> set[tuple[str, ...]]:
    """Every run of words within a sentence; each slot is the same word."""
    found = set()
    for sentence in sentences:
        words = re.findall(r"\w+", re.sub(r"\{\w+\}", " SLOT ", sentence).casefold())
        found |= {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}
    return found


def written(grammar: Grammar, categories: list[str]) -> list[str]:
    """Every sentence, filled ten times for each category."""
    draws = random.Random(5)
    filled = []
    for category in categories:
        phrases = grammar.phrases(category)
        templates = [*phrases.naming]
        for pool in phrases.languages.values():
            templates += [*pool.general, *pool.styling]
        named = {"category": category}
        filled += [phrases.render(template, draws, named) for template in templates for _ in range(10)]
    return filled


def test_the_robustness_set_shares_no_run_of_five_words_with_training() -> None:
    training, robustness = shop_text.grammar(), robustness_forms.grammar()
    assert runs(["One two three four {slot}, and six"]) & runs(["and one two three four {gap}"])
    assert runs(training.sentences()) & runs(robustness.sentences()) == set()
    categories = ["Jeans", "Watches", "Scarves"]
    assert runs(written(training, categories)) & runs(written(robustness, categories)) == set()


def test_training_texts_hold_no_sentence_of_the_robustness_set() -> None:
    settings = TextAugmentation(drop_description=0, foreign_sentences=1, keywords=0, other_category=1)
    learned = [
        shop_text.augmented(title, "", random.Random(product_id), settings, category).partition("\n")[2]
        for title, category, product_id in zip(TITLES, CATEGORIES, IDS, strict=True)
    ]
    ordinary = {sentence for *_, second in texts("ordinary") for sentence in re.split(r"(?<=[.?!]) ", second)}
    found = [sentence for sentence in ordinary for text in learned if sentence in text]
    assert len(ordinary) > 200 and found == []


def test_there_is_variety() -> None:
    sentences = list(robustness_forms.grammar().sentences())
    assert len(sentences) == len(set(sentences)) >= 120


@pytest.mark.parametrize("grammar", [shop_text.grammar(), robustness_forms.grammar()], ids=["training", "robustness"])
def test_only_styling_sentences_name_a_garment(grammar: Grammar) -> None:
    phrases = grammar.phrases(None)
    fillings = [text for slot, values in phrases.slots.items() if "other_category" not in slot for text in values]
    sentences = [template.form for template in phrases.languages[ENGLISH].general]
    for text in (*sentences, *fillings, *phrases.keywords):
        assert category_words.without(text, GARMENTS) == " ".join(text.split())


@pytest.mark.parametrize("name", FORMS)
def test_a_text_comes_from_its_product_id(name: str) -> None:
    every = form_texts(name, TITLES, OWN, CATEGORIES, IDS)
    assert every[7:9] == form_texts(name, TITLES[7:9], OWN[7:9], CATEGORIES[7:9], IDS[7:9])


@pytest.mark.parametrize("name", FORMS)
@given(st.text(), st.text(), st.sampled_from(CATEGORIES[:4]), st.text())
def test_any_row_has_every_form(name: str, title: str, description: str, category: str, product_id: str) -> None:
    (text,) = form_texts(name, [title], [description], [category], [product_id])
    assert text.count("{") <= (title + description).count("{")
    if "category" not in name and name not in ("html", "capitals"):
        assert all(word in text for word in product_text(title, "").split())


@pytest.mark.parametrize("name", [name for name in FORMS if name != "category_in_description"])
def test_no_description_names_the_own_category(name: str) -> None:
    for title, category, _, second in texts(name):
        plain = re.sub(r"<[^>]+>|&\w+;", " ", second)
        assert category_words.without(plain, own_words(category)) == " ".join(plain.split()), title


def test_the_forms_without_a_description() -> None:
    assert [first for _, _, first, _ in texts("title_alone")] == TITLES
    assert [first for _, _, first, _ in texts("capitals")] == [title.upper() for title in TITLES]
    for title, _, first, second in texts("sku"):
        before, _, after = first.partition(title)
        assert before.strip() and after.strip() and not second
    assert not any(second for name in ("title_alone", "capitals") for *_, second in texts(name))


def test_a_text_as_given_is_not_changed() -> None:
    assert [(first, second) for _, _, first, second in texts("as_given")] == list(zip(TITLES, OWN, strict=True))


@pytest.mark.parametrize(("name", "least", "most"), [("short", 1, 14), ("ordinary", 36, 44), ("long", 140, 160)])
def test_a_description_has_the_words_of_its_form(name: str, least: int, most: int) -> None:
    found = texts(name)
    assert all(first == title and least <= len(second.split()) <= most for title, _, first, second in found)
    assert len({second for *_, second in found}) > 0.8 * len(found)


class Reader(HTMLParser):
    """The text of HTML, and the tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "br"

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_the_ordinary_text_in_tags() -> None:
    rows = zip(TITLES, OWN, CATEGORIES, IDS, texts("ordinary"), strict=True)
    for title, description, category, product_id, (*_, ordinary) in rows:
        first, second = FORMS["html"](title, description, category, random.Random(product_id))
        reader = Reader()
        reader.feed(f"{first}\n{second}")
        assert reader.open == [] and reader.text.partition("\n")[0] == title
        assert "".join(ordinary.split()) in "".join(reader.text.split())
        assert all(entity in second for entity in ("&#39;", "&nbsp;", "&amp;", "<li>", "<br"))


def test_keywords_are_separated_by_commas() -> None:
    assert all(6 <= len(second.split(",")) <= 12 for *_, second in texts("keywords"))


def test_the_category_moves_or_goes() -> None:
    described, masked, ordinary = texts("category_in_description"), texts("category_masked"), texts("ordinary")
    for (title, category, first, second), (_, _, bare, text), (*_, same) in zip(
        described, masked, ordinary, strict=True
    ):
        words = own_words(category)
        assert first == bare == category_words.without(title, words) != title and text == same
        taken = " ".join(word for word in title.split() if word not in first.split()).lower()
        assert taken in second.lower()


def test_a_category_that_the_title_does_not_name_is_named_by_its_label() -> None:
    (text,) = form_texts("category_in_description", ["Alma No. 5"], [""], ["Perfume and Body Mist"], ["a"])
    assert text.startswith("Alma No. 5\n") and "perfume and body mist" in text.lower()


def test_another_category_is_named() -> None:
    for (_, category, _, second), (*_, ordinary) in zip(texts("other_category"), texts("ordinary"), strict=True):
        phrases = robustness_forms.grammar().phrases(category).slots["other_category"]
        assert any(phrase.casefold() in second.casefold() for phrase in phrases)
        assert len(second.split()) > len(ordinary.split())
