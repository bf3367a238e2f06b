"""Remove the words that name a category from titles: the accuracy on such titles shows how much a photo adds.

Most titles of a shop name the category ("Blue Jeans"), so that a text classifier reads the answer. The words come from
the names of the categories, in singular and plural, without synonyms ("Tee" is not removed for "Tshirts").
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PARTS = re.compile(r"[^\W_]+")


def forms(labels: Iterable[str]) -> frozenset[str]:
    """Return every word of every category name, in lower case, with its singular and its plural."""
    words = {word for label in labels for word in _PARTS.findall(label.casefold())}
    words |= {singular for word in words for singular in _singulars(word) if singular}
    return frozenset(words | {plural for word in words for plural in _plurals(word)})


def without(title: str, words: frozenset[str]) -> str:
    """Return a title without `words`, in any case.

    Words are separated by spaces, with or without punctuation: `tshirts` removes "T-shirts,". If only some parts of a
    word are in `words`, as in "Shirt/Blazer", only those parts are removed.
    """
    kept = []
    for word in title.split():
        parts = _PARTS.findall(word.casefold())
        if "".join(parts) in words:
            continue
        rest = _PARTS.sub(lambda part: "" if part.group().casefold() in words else part.group(), word)
        if not parts or _PARTS.search(rest):
            kept.append(rest)
    return " ".join(kept)


def _plurals(word: str) -> list[str]:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return [word + "es"]
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return [word[:-1] + "ies"]
    if word.endswith("f"):
        return [word + "s", word[:-1] + "ves"]
    return [word + "s"]


def _singulars(word: str) -> list[str]:
    singulars = []
    if word.endswith("s") and not word.endswith("ss"):
        singulars.append(word[:-1])
    if word.endswith(("ses", "xes", "zes", "ches", "shes")):
        singulars.append(word[:-2])
    if word.endswith("ies"):
        singulars.append(word[:-3] + "y")
    if word.endswith("ves"):
        singulars.append(word[:-3] + "f")
    return singulars
