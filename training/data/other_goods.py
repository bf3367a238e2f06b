"""Titles of products that are no fashion, from other_goods.yaml. A catalog may hold such products.

Half of the kinds (nouns) are held out for measuring: no title for training has one of these.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Any

import yaml

from .held_out import is_held_out

#: How shops write a title. Usual ways are repeated.
_CASES: tuple[Callable[[str], str], ...] = (
    *(lambda title: " ".join(word[:1].upper() + word[1:] for word in title.split()),) * 6,
    *(lambda title: title[:1].upper() + title[1:],) * 3,
    str.upper,
)


def nouns(held_out: bool = False) -> tuple[str, ...]:
    """Return the kinds for training or, if `held_out`, those for measuring."""
    return tuple(noun for noun, _ in _kinds(held_out))


def titles(count: int, seed: int, held_out: bool = False) -> Iterator[str]:
    """Yield titles of random kinds. The same seed yields the same titles.

    Args:
        count: number of titles. A few in a thousand are repeated.
        seed: seed of the random generator.
        held_out: use the kinds for measuring instead of those for training.
    """
    data, kinds = _data(), _kinds(held_out)
    for number in range(count):
        draws = random.Random(f"{seed} {number}")
        noun, details = draws.choice(kinds)
        slots = {name: draws.choice(values) for name, values in data["slots"].items()}
        title = draws.choice(data["forms"]).format(noun=noun, detail=draws.choice(details), **slots)
        yield draws.choice(_CASES)(title)


@cache
def _data() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(resources.files(__package__).joinpath("other_goods.yaml").read_text("utf-8"))
    return read


@cache
def _kinds(held_out: bool) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each noun with the details of its group."""
    return tuple(
        (noun, tuple(group["details"]))
        for group in _data()["groups"].values()
        for noun in group["nouns"]
        if is_held_out(noun) == held_out
    )
