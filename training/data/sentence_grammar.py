"""Sentences with slots from a YAML file of the package. They are the parts of generated descriptions.

For each category, the grammar leaves out every sentence, filling and keyword with a word of the category's name, so
that a description names the category only in `naming` sentences. The file has these keys:

    slots      name -> fillings
    others     name of a slot -> phrase -> the categories that the phrase stands for
    groups     name -> sentences in English; one with a slot of `others` is a styling sentence
    languages  code -> sentences in another language (may be absent)
    naming     sentences with the slot {category}
    keywords   for a list of keywords
    codes      article numbers and sizes: "#" is a digit, "@" a letter
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Self

import yaml

from . import category_words

ENGLISH = "en"

_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[^\W_]+")
#: "Necklace and Chains": a sentence with "and" does not name it.
_JOINING = frozenset({"and"})


@dataclass(frozen=True)
class Template:
    """A sentence: `form` has %s for each of `slots`."""

    form: str
    slots: tuple[str, ...]

    @classmethod
    def parse(cls, sentence: str) -> Self:
        """Read a sentence with slots in braces."""
        return cls(_SLOT.sub("%s", sentence.replace("%", "%%")), tuple(_SLOT.findall(sentence)))


@dataclass(frozen=True)
class Sentences:
    """Sentences of one language: those without a category, and those that name another category."""

    general: tuple[Template, ...]
    styling: tuple[Template, ...]


@dataclass(frozen=True)
class Phrases:
    """Sentences, fillings and keywords for the products of one category."""

    own: frozenset[str]
    slots: Mapping[str, tuple[str, ...]]
    languages: Mapping[str, Sentences]
    naming: tuple[Template, ...]
    keywords: tuple[str, ...]
    codes: tuple[Template, ...]

    def render(self, template: Template, draws: random.Random, fixed: Mapping[str, str]) -> str:
        """Fill a sentence. A slot in `fixed` has that filling at its first occurrence; no filling is repeated."""
        values: list[str] = []
        for position, slot in enumerate(template.slots):
            if slot in fixed and slot not in template.slots[:position]:
                values.append(fixed[slot])
                continue
            value = draws.choice(self.slots[slot])
            while value in values and len(self.slots[slot]) > len(values):
                value = draws.choice(self.slots[slot])
            values.append(value)
        text = template.form % tuple(values)
        return text[:1].upper() + text[1:]

    def code(self, draws: random.Random) -> str:
        """Return an article number, a size or a similar code."""
        text = self.render(draws.choice(self.codes), draws, {})
        if "#" not in text and "@" not in text:
            return text
        sets = {"#": string.digits, "@": string.ascii_uppercase}
        return "".join(draws.choice(sets[letter]) if letter in sets else letter for letter in text)


class Grammar:
    """The sentences of a file, for each category."""

    def __init__(self, package: str, name: str) -> None:
        self._data: dict[str, Any] = yaml.safe_load(resources.files(package).joinpath(name).read_text(encoding="utf-8"))
        self._phrases: dict[str | None, Phrases] = {}

    def phrases(self, category: str | None) -> Phrases:
        """Return the phrases for a category. Without a category, no sentence names another one."""
        if category not in self._phrases:
            self._phrases[category] = self._select(category)
        return self._phrases[category]

    def sentences(self) -> Iterator[str]:
        """Yield every sentence as it is written in the file."""
        for pools in (self._data["groups"], self._data.get("languages", {})):
            for pool in pools.values():
                yield from pool
        yield from self._data["naming"]

    def _select(self, category: str | None) -> Phrases:
        own = own_words(category) if category else frozenset()
        slots = {slot: _clear_of(own, fillings) for slot, fillings in self._data["slots"].items()}
        for slot, phrases in self._data["others"].items():
            others = [phrase for phrase, labels in phrases.items() if category and category not in labels]
            slots[slot] = _clear_of(own, others)
        usable = {slot for slot, fillings in slots.items() if fillings} | {"category"}

        def templates(sentences: Iterable[str]) -> tuple[Template, ...]:
            clear = (Template.parse(sentence) for sentence in sentences if not names(own, _SLOT.sub("", sentence)))
            return tuple(template for template in clear if usable.issuperset(template.slots))

        english = [sentence for group in self._data["groups"].values() for sentence in group]
        pools = {ENGLISH: english} | self._data.get("languages", {})
        return Phrases(
            own=own,
            slots=slots,
            languages={code: self._sentences(templates(pool)) for code, pool in pools.items()},
            naming=templates(self._data["naming"]),
            keywords=_clear_of(own, self._data["keywords"]),
            codes=templates(self._data["codes"]),
        )

    def _sentences(self, templates: tuple[Template, ...]) -> Sentences:
        others = self._data["others"].keys()
        return Sentences(
            general=tuple(template for template in templates if others.isdisjoint(template.slots)),
            styling=tuple(template for template in templates if not others.isdisjoint(template.slots)),
        )


def own_words(category: str) -> frozenset[str]:
    """Return the words that name a category, in singular and plural."""
    return category_words.forms([category]) - _JOINING


def names(own: frozenset[str], text: str) -> bool:
    """Return whether a text has one of the words: "T-shirt" has `tshirt` and `shirt`."""
    for word in text.casefold().split():
        parts = _WORD.findall(word)
        if "".join(parts) in own or not own.isdisjoint(parts):
            return True
    return False


def _clear_of(own: frozenset[str], phrases: Iterable[str]) -> tuple[str, ...]:
    return tuple(phrase for phrase in phrases if not names(own, phrase))
