"""The robustness set: texts of products in many forms that shops write, which training never had.

The sentences are in robustness_sentences.yaml, which training does not read. The random generator of a row depends on
its product id, and every form draws the ordinary description first. So forms with a description have the same one, and
differ only in the property of their name.
"""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from fashion_udf.model.tokenizer import product_text

from ..data import category_words
from ..data.sentence_grammar import ENGLISH, Grammar, Template, own_words

#: (title, description, category, random generator) -> (title, description).
Form = Callable[[str, str, str, random.Random], tuple[str, str]]

#: Forms that other modules use: the original text, the title alone, and the title without words of the category.
AS_GIVEN, TITLE_ALONE, CATEGORY_MASKED = "as_given", "title_alone", "category_masked"

SHORT, ORDINARY, LONG = (1, 14), (36, 44), (140, 160)  # minimum and maximum of words in a description


@cache
def grammar() -> Grammar:
    """Return the sentences of the robustness set."""
    return Grammar(__package__, "robustness_sentences.yaml")


def form_texts(
    name: str,
    titles: Sequence[str],
    descriptions: Sequence[str],
    categories: Sequence[str],
    product_ids: Sequence[str],
) -> list[str]:
    """Return the text of each row in a form: `product_text` of its title and description."""
    form = FORMS[name]
    rows = zip(titles, descriptions, categories, product_ids, strict=True)
    return [
        product_text(*form(title, description, category, random.Random(product_id)))
        for title, description, category, product_id in rows
    ]


def _title_alone(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return title, ""


def _as_given(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return title, description


def _short(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return title, " ".join(_sentences(category, draws, *SHORT, count=draws.choice((1, 2))))


def _ordinary(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return title, " ".join(_sentences(category, draws, *ORDINARY))


def _long(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return title, " ".join(_sentences(category, draws, *LONG))


def _html(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    first, *others = [_escape(sentence) for sentence in _sentences(category, draws, *ORDINARY)]
    middle = len(others) // 2
    items = "".join(f"<li>{sentence}</li>" for sentence in others[middle:])
    body = " ".join(others[:middle])
    return (
        f'<h1 itemprop="name">{_escape(title)}</h1>',
        f'<div id="d1"><em>{first}</em><br/>{body}<ul type="square">{items}</ul>'
        "<small>It&#39;s&nbsp;all above &amp; below.</small></div>",
    )


def _keywords(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return title, ",".join(draws.sample(grammar().phrases(category).keywords, draws.randint(6, 12)))


def _capitals(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return title.upper(), ""


def _sku(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    phrases = grammar().phrases(category)
    return f"{phrases.code(draws)} {title} {phrases.code(draws)}", ""


def _category_in_description(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    sentences = _sentences(category, draws, *ORDINARY)
    words = own_words(category)
    taken = " ".join(word for word in title.split() if not category_words.without(word, words)) or category
    phrases = grammar().phrases(category)
    sentence = phrases.render(draws.choice(phrases.naming), draws, {"category": taken.lower()})
    sentences.insert(draws.randint(0, len(sentences)), sentence)
    return category_words.without(title, words), " ".join(sentences)


def _category_masked(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    return category_words.without(title, own_words(category)), _ordinary(title, description, category, draws)[1]


def _other_category(title: str, description: str, category: str, draws: random.Random) -> tuple[str, str]:
    sentences = _sentences(category, draws, *ORDINARY)
    phrases = grammar().phrases(category)
    for template in draws.sample(phrases.languages[ENGLISH].styling, draws.choice((1, 2))):
        sentences.insert(draws.randint(0, len(sentences)), phrases.render(template, draws, {}))
    return title, " ".join(sentences)


#: Forms by name, in the order of a report.
FORMS: dict[str, Form] = {
    TITLE_ALONE: _title_alone,
    AS_GIVEN: _as_given,
    "short": _short,
    "ordinary": _ordinary,
    "long": _long,
    "html": _html,
    "keywords": _keywords,
    "capitals": _capitals,
    "sku": _sku,
    "category_in_description": _category_in_description,
    CATEGORY_MASKED: _category_masked,
    "other_category": _other_category,
}


def _sentences(category: str, draws: random.Random, least: int, most: int, count: int | None = None) -> list[str]:
    """Return `count` sentences, or as many as needed, with `least` to `most` words in total."""
    phrases = grammar().phrases(category)
    general = phrases.languages[ENGLISH].general
    kept: list[str] = []
    words = 0
    for template in _shuffled(general, draws):
        if words >= least and (count is None or len(kept) == count):
            break
        sentence = phrases.render(template, draws, {})
        length = len(sentence.split())
        if words + length <= most:
            kept.append(sentence)
            words += length
    return kept


def _shuffled(templates: Iterable[Template], draws: random.Random) -> list[Template]:
    order = list(templates)
    draws.shuffle(order)
    return order


def _escape(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")
