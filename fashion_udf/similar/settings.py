"""The settings of `conf/similar.yaml`: which products are compared, which are left out, and how the search works."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, model_validator

from fashion_udf.config import Output, Section
from fashion_udf.s3 import S3Settings

Scope = Literal["category", "compatible", "anywhere", "complement"]

#: Attributes that a complement shares with the product.
COMPLEMENT_SHARES = ("gender", "season")


class Table(Section):
    """A table of the user, in any format of a catalog."""

    path: str | None = None
    format: Literal["parquet", "csv", "json", "table"] = "parquet"


class Filter(Section):
    """A condition on a column, with exactly one of `equals`, `same` and `ratio`.

    A product with a null value is never recommended under the filter. With `same` or `ratio`, its own list is empty.
    """

    column: str
    equals: bool | int | float | str | None = None  # value of the recommended product
    same: bool = False  # whether both products must have the same value
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
    #: A table with the columns category and compatible. Without a path, that of the built-in categories.
    compatible: Table = Table()
    minimum_score: float | None = Field(None, ge=-1, le=1)
    same_photo: bool = False  # whether products with exactly the same photo are recommended
    item_group: str | None = None  # column: products with the same value are variants of one item and are left out
    at_most: dict[str, int] = Field({}, max_length=3)  # column: maximum of entries with the same value
    filters: tuple[Filter, ...] = ()
    #: A table with product_id and further columns for item_group, at_most and filters.
    columns: Table = Table()
    #: A table with product_id, other_id and orders, the number of orders with both. Lists are sorted by lift first.
    pairs: Table = Table()
    #: Maximum of products for an exact search in one task. Larger groups are divided.
    exact_limit: int = Field(300_000, ge=1)
    recall: float = Field(0.98, gt=0, le=1)  # minimum recall in larger groups
    s3: S3Settings = S3Settings()

    @model_validator(mode="after")
    def _positive(self) -> RecommendConfig:
        if low := sorted(name for name, most in self.at_most.items() if most < 1):
            raise ValueError(f"at_most: expected 1 or more of a column. Received: less for {', '.join(low)}")
        return self

    @property
    def same(self) -> tuple[str, ...]:
        """Columns whose values must be the same for both products."""
        named = [rule.column for rule in self.filters if rule.same]
        return tuple(dict.fromkeys([*(COMPLEMENT_SHARES if self.scope == "complement" else ()), *named]))

    @property
    def ratios(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest multiple of the product's own value, by column."""
        return {rule.column: rule.ratio for rule in self.filters if rule.ratio is not None}

    @property
    def further_columns(self) -> tuple[str, ...]:
        """Unique columns that the settings name, in their order."""
        group = [self.item_group] if self.item_group else []
        named = [*group, *self.at_most, *self.same, *(rule.column for rule in self.filters)]
        return tuple(dict.fromkeys(named))

    def digest(self, related: Mapping[str, Iterable[str]]) -> str:
        """Hex sha256 of the settings and the related categories, on which all lists depend.

        Paths of tables are not included. The values of a table are in the fingerprints of the products.
        """
        tree = self.model_dump(mode="json", exclude={"output", "compatible", "columns", "s3"})
        tree["format"] = 2  # of the published lists: older ones lack what a night needs
        tree["related"] = {category: sorted(others) for category, others in related.items()}
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
