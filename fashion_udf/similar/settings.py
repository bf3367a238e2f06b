"""What `conf/similar.yaml` says: which products are compared, which are left out, and how far the search goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, model_validator

from fashion_udf.config import Output, Section
from fashion_udf.s3 import S3Settings

Scope = Literal["category", "compatible", "anywhere", "complement"]

#: Attributes that a product of the complement scope shares with the product it goes with.
COMPLEMENT_SHARES = ("gender", "season")


class Table(Section):
    """A table of the user's, in any form that a catalog may have."""

    path: str | None = None
    format: Literal["parquet", "csv", "json", "table"] = "parquet"


class Filter(Section):
    """A condition on one column; exactly one of `equals`, `same` and `ratio` is given.

    A product whose value is null is never recommended under the filter, and with `same` or `ratio` its own list is
    empty.
    """

    column: str
    equals: bool | int | float | str | None = None  # of the recommended product
    same: bool = False  # both products have the same value
    ratio: tuple[float, float] | None = None  # lowest and highest value, as a multiple of the product's own

    @model_validator(mode="after")
    def _one(self) -> Filter:
        if [self.equals is not None, self.same, self.ratio is not None].count(True) != 1:
            raise ValueError("expected exactly one of equals, same: true and ratio")
        if self.ratio is not None and not 0 <= self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"expected a ratio such as [0.5, 2], received {list(self.ratio)}")
        return self


class RecommendConfig(Section):
    """Everything `jobs/recommend.py` reads."""

    output: Output
    k: int = Field(10, ge=1, le=200)
    scope: Scope = "category"
    #: Columns category and compatible. Without a path, the table of the built-in categories.
    compatible: Table = Table()
    minimum_score: float | None = Field(None, ge=-1, le=1)
    same_photo: bool = False  # recommend products that have exactly the same photo
    item_group: str | None = None  # column whose equal values are variants of one item, which are left out
    at_most: dict[str, int] = Field({}, max_length=3)  # column: entries of a list that may share its value
    filters: tuple[Filter, ...] = ()
    #: Joined by product_id: further columns for item_group, at_most and filters.
    columns: Table = Table()
    #: Columns product_id, other_id and orders: how many orders hold both. Lists are ordered by lift first.
    pairs: Table = Table()
    #: Products that one task searches exactly; of larger groups a task holds a part.
    exact_limit: int = Field(250_000, ge=1)
    recall: float = Field(0.98, gt=0, le=1)  # of groups larger than that
    s3: S3Settings = S3Settings()

    @model_validator(mode="after")
    def _positive(self) -> RecommendConfig:
        if low := sorted(name for name, most in self.at_most.items() if most < 1):
            raise ValueError(f"at_most: expected 1 or more of a column. Received: less for {', '.join(low)}")
        return self

    @property
    def same(self) -> tuple[str, ...]:
        """Columns whose value both products share."""
        named = [rule.column for rule in self.filters if rule.same]
        return tuple(dict.fromkeys([*(COMPLEMENT_SHARES if self.scope == "complement" else ()), *named]))

    @property
    def ratios(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest multiple of the product's own value, by column."""
        return {rule.column: rule.ratio for rule in self.filters if rule.ratio is not None}

    @property
    def further_columns(self) -> tuple[str, ...]:
        """Columns that the settings name, each once, in their order."""
        group = [self.item_group] if self.item_group else []
        named = [*group, *self.at_most, *self.same, *(rule.column for rule in self.filters)]
        return tuple(dict.fromkeys(named))

    def digest(self, related: Mapping[str, Iterable[str]]) -> str:
        """Hex sha256 of what a list depends on beside the products: settings, and the categories that belong together.

        Where a table lies is none of it; what it says of a product is in the product's fingerprint.
        """
        tree = self.model_dump(mode="json", exclude={"output", "compatible", "columns", "s3"})
        tree["format"] = 2  # of the published lists: older ones lack what a night needs
        tree["related"] = {category: sorted(others) for category, others in related.items()}
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
