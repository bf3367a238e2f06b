"""The rule of the split as release 0.1 had it, for products in memory: what the split in Spark is compared with."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from training.data.split import normalised_title


def assign(products: pd.DataFrame) -> pd.Series:
    """Assign every product to a split.

    Args:
        products: columns `product_id` (unique strings), `title`, `category`, `image_sha256`; the last and title may be
            null.

    Returns:
        A series of `train`, `validation` or `test`, with the index of `products`.
    """
    ids = products["product_id"].tolist()
    titles = [normalised_title(title) for title in products["title"].where(products["title"].notna(), None)]
    photos = products["image_sha256"].where(products["image_sha256"].notna(), None).tolist()
    groups = _connected([titles, photos], len(ids))

    category_of = dict(zip(ids, products["category"], strict=True))
    by_category: dict[str, list[tuple[str, list[int]]]] = defaultdict(list)
    for members in groups:
        smallest = min(ids[member] for member in members)
        # A group with several labels (wrong labels exist) counts for the category of its smallest id.
        by_category[category_of[smallest]].append((hashlib.sha256(smallest.encode()).hexdigest(), members))

    split = [""] * len(ids)
    for category_groups in by_category.values():
        total = sum(len(members) for _, members in category_groups)
        before = 0
        for _, members in sorted(category_groups):
            for member in members:
                split[member] = _split_at(before / total)
            before += len(members)
    return pd.Series(split, index=products.index, name="split")


def _split_at(share: float) -> str:
    if share < 0.8:
        return "train"
    return "validation" if share < 0.8 + 0.1 else "test"


def _connected(keys_by_kind: Sequence[Sequence[str | None]], count: int) -> list[list[int]]:
    """Group positions 0..count-1 that share a key of any kind, by union-find; None is no key."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for keys in keys_by_kind:
        first: dict[str, int] = {}
        for position, key in enumerate(keys):
            if key is not None:
                parent[root(position)] = root(first.setdefault(key, position))
    groups: dict[int, list[int]] = defaultdict(list)
    for position in range(count):
        groups[root(position)].append(position)
    return list(groups.values())
