"""What a run's table says, compared with another's: the same categories, whatever engine, batch size and order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.benchmark.catalogs import COPY

#: Rows that a fast engine must put into the reference's category (DESIGN section 4).
SAME_AS_REFERENCE = 0.995
#: What another batch size and another order may change: f32's confidence, and where its two best are nearer than
#: `F32_GAP` the category; the rows in which int8 and bf16 must keep theirs.
F32_CONFIDENCE, F32_GAP = 1e-5, 1e-4
REDUCED_SAME = 0.999
_SHOWN = 5  # differing rows named in a line


@dataclass(frozen=True)
class Tag:
    """What the model says of a product; `gap` is how much surer it is of its category than of the next."""

    category: str | None
    confidence: float
    gap: float


Tags = Mapping[str, Tag]


def read(folder: Path) -> Tags:
    """Read a tags table, or the plain job's (which does not give a second category); keys are product ids."""
    table = pq.read_table(folder)
    ours = "model_category" in table.column_names
    categories = table["model_category" if ours else "category"].to_pylist()
    confidences = table["confidence"].to_pylist()
    tops = table["top_categories"].to_pylist() if ours else [None] * len(table)
    return {
        product_id: Tag(category, confidence or 0.0, _gap(top))
        for product_id, category, confidence, top in zip(
            table["product_id"].to_pylist(), categories, confidences, tops, strict=True
        )
    }


def same_share(tags: Tags, reference: Tags) -> float:
    """Return the share of rows with the reference's category; a duplicate is compared with what it repeats.

    Raises:
        ValueError: the reference lacks a product.
    """
    originals = {product_id: product_id.removesuffix(COPY) for product_id in tags}
    if lacking := sorted(set(originals.values()) - set(reference)):
        raise ValueError(f"Expected tables of the same products. Received: {len(lacking)} others, first {lacking[0]!r}")
    same = sum(tags[key].category == reference[original].category for key, original in originals.items())
    return same / len(tags)


def changed(tags: Tags, other: Tags, precision: str) -> list[str]:
    """Return a line for each product whose result changed with batch size and order.

    For f32 that is another confidence, or another category where the two best are not nearly equal; for int8 and bf16
    another category.

    Args:
        tags: of one run.
        other: of a run of the same products with another batch size and another order.
        precision: of both runs.

    Raises:
        ValueError: the products differ.
    """
    if tags.keys() != other.keys():
        raise ValueError(f"Expected tables of the same products. Received: {len(tags)} and {len(other)} products")
    return [
        f"{key}: {tag.category} {tag.confidence:.6f}, then {other[key].category} {other[key].confidence:.6f}"
        for key, tag in sorted(tags.items())
        if _changed(tag, other[key], precision)
    ]


def allowed(precision: str, rows: int) -> int:
    """Return how many of `rows` results may change with batch size and order."""
    return 0 if precision == "f32" else int((1 - REDUCED_SAME) * rows)


def summary(lines: list[str]) -> str:
    """Return the first of many lines in one."""
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


def _changed(tag: Tag, other: Tag, precision: str) -> bool:
    if precision != "f32":
        return tag.category != other.category
    if tag.category != other.category:
        return tag.gap > F32_GAP
    return abs(tag.confidence - other.confidence) > F32_CONFIDENCE


def _gap(top: list[dict[str, float]] | None) -> float:
    if not top or len(top) < 2:
        return 1.0
    return float(top[0]["confidence"]) - float(top[1]["confidence"])
