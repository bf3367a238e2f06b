"""A generated catalog: drawn pictures of garments, with titles and descriptions like those of shops."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from fashion_udf.samples import descriptions
from fashion_udf.samples.broken_photos import jpeg, odd_photos
from fashion_udf.samples.garments import DRAWINGS, draw
from fashion_udf.samples.sketch import Colour, Look

CATEGORIES: tuple[str, ...] = tuple(DRAWINGS)

#: Invented names, unrelated to any shop or brand.
BRANDS = (
    "Nordwind",
    "Kastellan",
    "Pebble & Pine",
    "Ostrava Lane",
    "Velmora",
    "Tidewick",
    "Harrowdale",
    "Lumiko",
    "Birkfeld",
)
USAGES = ("casual", "casual", "casual", "formal", "sports", "party")
SEASONS = ("Summer", "Winter", "Spring", "Fall")
#: Share of products without a text.
TEXTLESS = 0.04
#: The customers, in titles and in descriptions.
WHO = {"Men": "men", "Women": "women", "Boys": "boys", "Girls": "girls", "Unisex": "people"}
PATTERN_WORDS = {
    "stripes": "Striped",
    "checks": "Checked",
    "pinstripes": "Pinstriped",
    "dots": "Dotted",
    "diagonal": "Striped",
}

#: Category -> the customers, and its names in titles.
TITLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Tshirts": (("Men", "Women", "Boys", "Girls"), ("T-shirt", "Tshirt", "Tee")),
    "Shirts": (("Men", "Women"), ("Shirt",)),
    "Casual Shoes": (("Men", "Women", "Unisex"), ("Shoes", "Casual Shoes", "Sneakers")),
    "Watches": (("Men", "Women"), ("Watch", "Analogue Watch")),
    "Handbags": (("Women",), ("Handbag", "Bag")),
    "Heels": (("Women",), ("Heels", "Pumps")),
    "Sunglasses": (("Men", "Women", "Unisex"), ("Sunglasses",)),
    "Jeans": (("Men", "Women"), ("Jeans", "Slim Fit Jeans")),
    "Dresses": (("Women", "Girls"), ("Dress",)),
    "Backpacks": (("Unisex", "Men"), ("Backpack",)),
    "Ties": (("Men",), ("Tie",)),
    "Belts": (("Men", "Women"), ("Belt", "Leather Belt")),
}

#: Colour name in titles -> RGB.
COLOURS: dict[str, Colour] = {
    "Black": (32, 32, 36),
    "White": (244, 244, 242),
    "Navy Blue": (30, 44, 92),
    "Blue": (46, 98, 176),
    "Grey": (136, 138, 142),
    "Red": (186, 34, 44),
    "Green": (48, 116, 74),
    "Brown": (112, 70, 42),
    "Beige": (214, 192, 156),
    "Pink": (232, 138, 168),
    "Purple": (100, 60, 134),
    "Yellow": (240, 196, 66),
    "Maroon": (110, 28, 44),
    "Olive": (104, 106, 60),
    "Orange": (228, 118, 44),
    "Turquoise": (54, 160, 166),
}

#: Shoes and accessories have accents in quiet colours. The patterns of clothes have any colour.
GOODS = frozenset({"Casual Shoes", "Watches", "Handbags", "Heels", "Sunglasses", "Backpacks", "Belts"})
DENIM = ("Blue", "Blue", "Navy Blue", "Black", "Grey")
TRIMS = ("White", "White", "Black", "Beige", "Brown")

#: Category -> its patterns. Shoes and accessories are mostly plain.
PATTERNS_OF: dict[str, tuple[str, ...]] = {
    "Tshirts": ("plain", "plain", "plain", "stripes"),
    "Shirts": ("plain", "checks", "pinstripes"),
    "Dresses": ("plain", "dots", "stripes"),
    "Ties": ("plain", "diagonal", "dots"),
    "Casual Shoes": ("plain", "plain", "plain", "checks"),
}


@dataclass(frozen=True)
class Product:
    """A row of the catalog, with the true category if it has one."""

    product_id: str
    title: str | None
    description: str | None
    image: bytes | None  # JPEG, except in `broken_products`
    category: str | None


def products(count: int, seed: int) -> Iterator[Product]:
    """Yield `count` valid products, one category after the other. The same seed yields the same products."""
    rng = np.random.default_rng([seed, 0])
    for index in range(count):
        yield _product(f"p{index:06d}", CATEGORIES[index % len(CATEGORIES)], rng)


def broken_products(seed: int) -> Iterator[Product]:
    """Yield products with a broken photo or text. The id tells what is wrong.

    No id is null or repeated, here or in `products`, because such ids would stop the job.
    """
    rng = np.random.default_rng([seed, 1])
    colour, look = _look("Shirts", rng)
    for kind, image in odd_photos(draw("Shirts", look, rng)).items():
        yield replace(_texts(f"odd-{kind}", "Shirts", colour, look, rng), image=image)
    plain = replace(
        _product("odd-photo-none", "Shirts", rng), title="Nordwind Men Blue Shirt", description=descriptions.PLAIN
    )
    yield replace(plain, image=None)
    for name, title, description in _odd_texts(plain):
        yield replace(plain, product_id=f"odd-{name}", title=title, description=description)
    yield replace(plain, product_id="odd-nothing-to-score", title="  \t", description=None, image=None)
    yield replace(plain, product_id="odd-long-title-without-photo", title=_long(plain.title or ""), image=None)


def _odd_texts(plain: Product) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield name, title and description of each unusual text."""
    title, description = plain.title or "", plain.description
    yield "title-empty", "", description
    yield "title-and-description-none", None, None
    yield "title-very-long", _long(title), description
    yield (
        "title-emoji",
        f"\U0001f525\U0001f455 {title} \U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
        description,
    )
    yield (
        "title-right-to-left",
        "\u0642\u0645\u064a\u0635 \u202eregor\u202c \u05d7\u05d5\u05dc\u05e6\u05d4",
        description,
    )
    yield "title-control-characters", f"{title}\x00\x07\x1b[31m\r\n\t\x7f\u2028", description
    yield "title-quotes-and-commas", f"{title}, 40\" x 30\"; 'slim' \\ =1+1", 'first line\nsecond, "quoted" line'
    yield "description-very-long", title, " ".join([description or ""] * 500)


def _long(title: str) -> str:
    return (title + " ") * (10_000 // (len(title) + 1) + 1)


def garment(category: str, rng: np.random.Generator, size: int = 224) -> Image.Image:
    """Draw one garment in a random colour and pattern.

    Args:
        category: a name in `CATEGORIES`.
        rng: source of all random choices.
        size: width and height in pixels.

    Returns:
        RGB image, `size` x `size`, on a nearly white background.

    Raises:
        KeyError: `category` is not in `CATEGORIES`.
    """
    return draw(category, _look(category, rng)[1], rng, size)


def _product(product_id: str, category: str, rng: np.random.Generator) -> Product:
    colour, look = _look(category, rng)
    return replace(_texts(product_id, category, colour, look, rng), image=jpeg(draw(category, look, rng)))


def _texts(product_id: str, category: str, colour: str, look: Look, rng: np.random.Generator) -> Product:
    people, nouns = TITLES[category]
    who, usage = _one(people, rng), _one(USAGES, rng)
    brand = _one(BRANDS, rng)
    words = [brand, who, colour, PATTERN_WORDS.get(look.pattern, "")]
    # Some shops do not name the kind of product in the title.
    words.append(_one(nouns, rng) if rng.random() < 0.85 else f"{usage.title()} {int(rng.integers(100, 9999))}")
    title = " ".join(word for word in words if word)
    season, year = _one(SEASONS, rng).lower(), int(rng.integers(2010, 2018))
    slots = {"brand": brand, "colour": colour.lower(), "usage": usage, "season": season, "year": str(year)}
    slots |= {"who": WHO[who], "number": str(1000 * year + len(title))}
    # A separate generator, so that the texts do not change the picture of a seed.
    draws = random.Random(f"{product_id} {title}")
    if draws.random() < TEXTLESS:
        return Product(product_id, None, None, None, category)
    return Product(product_id, title, descriptions.description(slots, draws), None, category)


def _one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _look(category: str, rng: np.random.Generator) -> tuple[str, Look]:
    """Return the colour's name and the look."""
    names = DENIM if category == "Jeans" else tuple(COLOURS)
    name = _one(names, rng)
    near = TRIMS if category in GOODS else tuple(COLOURS)
    # An accent of nearly the same brightness would not be visible.
    accents = tuple(other for other in near if abs(sum(COLOURS[other]) - sum(COLOURS[name])) > 150)
    pattern = _one(PATTERNS_OF.get(category, ("plain",)), rng)
    return name, Look(COLOURS[name], COLOURS[_one(accents, rng)], pattern)
