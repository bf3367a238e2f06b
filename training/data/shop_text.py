"""Text augmentation for training: titles and descriptions in the many ways in which shops write them.

The descriptions of the training rows come from one artificial template. A model that was only trained on these fails on
any other text. `augmented` changes a row's text at random at each call.
"""

from __future__ import annotations

import html
import random
from collections.abc import Callable
from functools import cache
from typing import Self

from pydantic import Field, model_validator

from fashion_udf.config import Section
from fashion_udf.model.tokenizer import product_text

from .sentence_grammar import ENGLISH, Grammar, Phrases, names

_MOST_SENTENCES = 15
_MOST_KEYWORDS = 14
_IN_ENGLISH = 0.75  # the share of foreign descriptions; the others are in one other language each
_ANYWHERE = 0.5  # the share of moved category words that go into any sentence instead of a `naming` sentence
_MIXED = 0.5  # the share of foreign descriptions that also keep the product's own description


class TextAugmentation(Section):
    """How often a row's text is changed. Each value is a share of rows, except `dropped_share`."""

    drop_description: float = Field(0.27, ge=0, le=1)  # no description
    foreign_sentences: float = Field(
        0.58, ge=0, le=1
    )  # 1 to 15 generated sentences, instead of the own ones or mixed with them
    unknown_words: float = Field(0.5, ge=0, le=1)  # half of the words of foreign sentences are made up
    keywords: float = Field(0.07, ge=0, le=1)  # a list of keywords instead of the description
    other_category: float = Field(0.25, ge=0, le=1)  # one more sentence, which names another category
    category_in_description: float = Field(0.3, ge=0, le=1)  # the title's category word moves into a sentence
    repeat: float = Field(0.05, ge=0, le=1)  # the description starts with the title
    cut: float = Field(0.05, ge=0, le=1)  # the description ends within a sentence
    html: float = Field(0.08, ge=0, le=1)  # the description in HTML
    sku: float = Field(0.18, ge=0, le=1)  # article numbers, sizes and the like
    shuffle: float = Field(0.1, ge=0, le=1)  # the title's words in another order
    drop_words: float = Field(0.12, ge=0, le=1)  # the title loses words
    dropped_share: float = Field(0.3, ge=0, lt=1)  # share of the words that such a title loses; one always stays

    @model_validator(mode="after")
    def _one_kind_of_description(self) -> Self:
        if self.drop_description + self.foreign_sentences + self.keywords > 1:
            raise ValueError("drop_description, foreign_sentences and keywords must not be above 1 together")
        return self


@cache
def grammar() -> Grammar:
    """Return the sentences that training uses."""
    return Grammar(__package__, "shop_sentences.yaml")


def editor(settings: TextAugmentation, seed: int) -> Callable[[str, str, str], str]:
    """Return a function (product id, text, category) -> text. A product and a seed always give the same text.

    The first line of a text is its title, as in `product_text`.
    """

    def edit(product_id: str, text: str, category: str) -> str:
        title, _, description = text.partition("\n")
        return augmented(title, description, random.Random(f"{seed} {product_id}"), settings, category)

    return edit


def augmented(
    title: str, description: str, draws: random.Random, settings: TextAugmentation, category: str | None = None
) -> str:
    """Return the text of a product, changed at random.

    Args:
        title: the product's title.
        description: the product's description.
        draws: the random generator. The same state gives the same text.
        settings: how often the text is changed.
        category: the product's category. Without it, no word moves into a sentence and no other category is named.

    Returns:
        Title and description, joined by `fashion_udf.model.tokenizer.product_text`.
    """
    phrases = grammar().phrases(category)
    fixed = _fixed(title, phrases)
    if draws.random() < settings.category_in_description:
        title = _take_category(title, phrases, fixed)
    sentences = _description(description, phrases, fixed, draws, settings)
    if draws.random() < settings.drop_words:
        title = _fewer(title, settings.dropped_share, draws)
    if draws.random() < settings.shuffle:
        words = title.split()
        draws.shuffle(words)
        title = " ".join(words)
    if draws.random() < settings.repeat and sentences:
        sentences.insert(0, title)
    if draws.random() < settings.sku:
        title = _with_codes(title, sentences, phrases, draws)
    return product_text(title, _written(sentences, draws, settings))


def _fixed(title: str, phrases: Phrases) -> dict[str, str]:
    """Return fillings of slots from the title. Its first word may be the brand."""
    fixed: dict[str, str] = {}
    words = title.split()
    if phrases.own and words and words[0].isalpha() and not names(phrases.own, words[0]):
        fixed["brand"] = words[0]
    for word in words:
        if word.lower() in phrases.slots["colour"]:
            fixed["colour"] = word.lower()
            break
    return fixed


def _take_category(title: str, phrases: Phrases, fixed: dict[str, str]) -> str:
    """Move the words that name the category from the title into `fixed`, unless they are the whole title."""
    words = title.split()
    own = [names(phrases.own, word) for word in words]
    if not any(own) or all(own):
        return title
    fixed["category"] = " ".join(word for word, named in zip(words, own, strict=True) if named).lower()
    return " ".join(word for word, named in zip(words, own, strict=True) if not named)


def _description(
    description: str, phrases: Phrases, fixed: dict[str, str], draws: random.Random, settings: TextAugmentation
) -> list[str]:
    """Return the pieces of the description. The product's own description is one piece."""
    kind, sentences = draws.random(), [description] if description.strip() else []
    language = ENGLISH
    if kind < settings.drop_description:
        sentences = []
    elif (kind := kind - settings.drop_description) < settings.foreign_sentences:
        language = _language(phrases, draws)
        foreign = _foreign(phrases, language, fixed, draws)
        if draws.random() < settings.unknown_words:
            foreign = [_with_unknown_words(sentence, phrases.own, draws) for sentence in foreign]
        if sentences and draws.random() < _MIXED:
            foreign.insert(draws.randrange(len(foreign) + 1), description)
        sentences = foreign
    elif kind - settings.foreign_sentences < settings.keywords:
        count = min(draws.randint(3, _MOST_KEYWORDS), len(phrases.keywords))
        sentences = [draws.choice((", ", "; ", " ", " | ", " #")).join(draws.sample(phrases.keywords, count))]
    placed = "category" in fixed and _place_anywhere(fixed["category"], sentences, description, draws)
    pools = [phrases.naming] if "category" in fixed and not placed else []
    if draws.random() < settings.other_category:
        pools.append(phrases.languages[language].styling)
    for pool in filter(None, pools):
        sentence = phrases.render(draws.choice(pool), draws, fixed)
        sentences.insert(draws.randrange(len(sentences) + 1), sentence)
    return sentences


def _place_anywhere(words: str, sentences: list[str], description: str, draws: random.Random) -> bool:
    """Put the words, in half of the calls, into a generated sentence, and return whether they were put.

    The grammar has few `naming` sentences, and shops write many others.
    """
    places = [at for at, sentence in enumerate(sentences) if sentence != description]
    if not places or draws.random() >= _ANYWHERE:
        return False
    at = draws.choice(places)
    written = sentences[at].split()
    written.insert(draws.randint(0, len(written)), words)
    sentences[at] = " ".join(written)
    return True


def _language(phrases: Phrases, draws: random.Random) -> str:
    if draws.random() < _IN_ENGLISH:
        return ENGLISH
    return draws.choice([code for code in phrases.languages if code != ENGLISH])


def _foreign(phrases: Phrases, language: str, fixed: dict[str, str], draws: random.Random) -> list[str]:
    """Return 1 to 15 different sentences. Small numbers are more frequent."""
    pool = phrases.languages[language].general
    count = min(1 + int(_MOST_SENTENCES * draws.random() ** 2), len(pool))
    return [phrases.render(template, draws, fixed) for template in draws.sample(pool, count)]


def _with_unknown_words(sentence: str, own: frozenset[str], draws: random.Random) -> str:
    """Replace half of the words by made-up ones, which the tokenizer splits like words that training never saw."""
    words = sentence.split()
    for at in range(len(words)):
        made_up = "".join(draws.choice(part) for _ in range(draws.randint(1, 3)) for part in _SYLLABLE)
        if draws.random() < 0.5 and not names(own, made_up):  # a made-up word may be "hat" or "sock"
            words[at] = made_up
    return " ".join(words)


def _fewer(title: str, share: float, draws: random.Random) -> str:
    words = title.split()
    kept = [word for word in words if draws.random() >= share]
    return " ".join(kept or words[:1])


def _with_codes(title: str, sentences: list[str], phrases: Phrases, draws: random.Random) -> str:
    """Add one or two codes, anywhere in the title or to the description."""
    for _ in range(draws.randint(1, 2)):
        code = phrases.code(draws)
        if sentences and draws.random() < 0.25:
            sentences.append(code)
            continue
        words = title.split()
        words.insert(draws.choice((0, len(words), draws.randint(0, len(words)))), code)
        title = " ".join(words)
    return title


def _written(sentences: list[str], draws: random.Random, settings: TextAugmentation) -> str:
    """Join the pieces of a description as text or HTML."""
    if draws.random() < settings.cut and sentences:
        words = sentences.pop().split()
        sentences.append(" ".join(words[: draws.randint(1, len(words))]) + draws.choice(("", "...", "…")))
    if draws.random() < settings.html and sentences:
        return draws.choice(_HTML)([html.escape(sentence) for sentence in sentences])
    return " ".join(sentences)


#: Start, vowel and end of a syllable.
_SYLLABLE = (
    ("", "b", "br", "c", "ch", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl", "r", "s", "st", "t", "w"),
    ("a", "e", "i", "o", "u", "ea", "ou", "ai"),
    ("", "", "n", "r", "l", "s", "t", "d", "ng", "ck", "m"),
)

_HTML: tuple[Callable[[list[str]], str], ...] = (
    lambda pieces: "<p>" + "</p><p>".join(pieces) + "</p>",
    lambda pieces: "<br>".join(pieces),
    lambda pieces: "<br />\n".join(pieces),
    lambda pieces: '<div class="text">' + " ".join(pieces) + "</div>",
    lambda pieces: "<p><strong>" + pieces[0] + "</strong></p>" + " ".join(pieces[1:]),
    lambda pieces: "<ul><li>" + "</li><li>".join(pieces) + "</li></ul>",
    lambda pieces: '<span style="color: black">' + "&nbsp;".join(pieces) + "</span>",
)
