"""Small blocks of products with many ties, and lists made of them one pair at a time, with nothing but loops."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from fashion_udf.similar import products
from fashion_udf.similar.products import Products
from fashion_udf.similar.selection import DECIMALS, Rules

#: Few directions, so that scores tie and vectors repeat.
_DIRECTIONS = np.eye(6, 8, dtype=np.float32) + 0.25


@dataclass(frozen=True)
class Product:
    """One product, as plain values."""

    product_id: str
    vector: tuple[float, ...]
    category: str = "Shirts"
    photo: str | None = None
    group: str | None = None
    brand: str | None = None
    price: float | None = None


@st.composite
def drawn(draw: st.DrawFn, most: int = 40) -> list[Product]:
    """Some products, each id once."""
    ids = draw(st.lists(st.text("ab1é", min_size=1, max_size=4), min_size=1, max_size=most, unique=True))
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return [product(name, seed) for name in ids]


def product(name: str, draws: np.random.Generator) -> Product:
    """One product, whose values others have too."""
    vector = _DIRECTIONS[draws.integers(6)] + draws.choice([0, 0, 0.1]) * draws.standard_normal(8)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)

    def some(*values: object) -> object:
        return values[draws.integers(len(values))]

    return Product(
        name,
        tuple(vector.tolist()),
        some("Shirts", "Jeans"),
        some(None, None, "photo-1", "photo-2"),
        some(None, None, "item-1"),
        some(None, "Puma", "Nike"),
        some(None, 10.0, 15.0, 40.0),
    )


def table(rows: list[Product]) -> pa.Table:
    """The rows as a task of the job gets them."""
    columns = {
        "product_id": pa.array([row.product_id for row in rows], pa.string()),
        "embedding": pa.array([list(row.vector) for row in rows], pa.list_(pa.float32())),
        "category": pa.array([row.category for row in rows], pa.string()),
        "photo": pa.array([row.photo for row in rows], pa.string()),
        "item_group": pa.array([row.group for row in rows], pa.string()),
        "caps": pa.array([[row.brand, row.category] for row in rows], pa.list_(pa.string())),
        "numbers": pa.array([[row.price] for row in rows], pa.list_(pa.float64())),
    }
    return pa.table(columns)


def block(rows: list[Product]) -> Products:
    """The rows as a block."""
    return products.from_arrow(table(rows))


def rules(draw: st.DrawFn) -> Rules:
    """Any rules for the blocks of this file."""
    least, photo = draw(st.sampled_from([None, 0.5, 0.9])), draw(st.booleans())
    caps = draw(st.sampled_from([(50, 50), (1, 50), (2, 2)]))
    ratio = draw(st.sampled_from([(0.0, float("inf")), (0.5, 2.0)]))
    return Rules(draw(st.integers(1, 12)), least, photo, caps, (ratio,))


def expected(row: Product, candidates: list[Product], kept: Rules, most: int) -> list[tuple[str, float]]:
    """The list of one product, by the definition: go through all candidates in order, and take who may stay."""
    pairs = []
    for other in candidates:
        score = round(float(np.dot(np.float64(row.vector), np.float64(other.vector))), DECIMALS)
        pairs.append((-score, other.product_id.encode(), other))
    found: list[tuple[str, float]] = []
    brands, categories = Counter[str](), Counter[str]()
    for negative, _, other in sorted(pairs, key=lambda entry: entry[:2]):
        if len(found) < most and _may(row, other, -negative, kept):
            if other.brand is None or brands[other.brand] < kept.at_most[0]:
                if categories[other.category] < kept.at_most[1]:
                    found.append((other.product_id, -negative))
                    categories[other.category] += 1
                    if other.brand is not None:
                        brands[other.brand] += 1
    return found


def _may(row: Product, other: Product, score: float, kept: Rules) -> bool:
    if row.product_id == other.product_id or (row.group is not None and row.group == other.group):
        return False
    if not kept.same_photo and row.photo is not None and row.photo == other.photo:
        return False
    if kept.minimum_score is not None and score < kept.minimum_score:
        return False
    lowest, highest = kept.ratios[0]
    if row.price is None or other.price is None:
        return False
    return lowest * row.price <= other.price <= highest * row.price
