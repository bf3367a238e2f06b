"""The categories from which a product's list is taken, and the pools of a catalog.

A pool is a set of categories. All products of a category are searched in one pool, and a product may be a candidate in
several pools. The name of a pool depends only on its categories.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import yaml

from fashion_udf.errors import ConfigError
from fashion_udf.similar import user_tables
from fashion_udf.similar.settings import RecommendConfig, Scope

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Columns of a table of compatible categories.
COLUMNS = ("category", "compatible")
ANYWHERE = "*"

Related = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Pools:
    """The pools of the categories of a catalog.

    Attributes:
        searched: the pool in which a category's products are searched; a category without related ones is missing.
        held: the pools in which a category's products are candidates.
    """

    searched: Mapping[str, str]
    held: Mapping[str, tuple[str, ...]]


def related(spark: SparkSession, config: RecommendConfig) -> Related:
    """Return the related categories of each category; empty for scopes without a table.

    Raises:
        CatalogError: the table of `compatible.path` cannot be read.
        ConfigError: the table lacks a column.
    """
    if config.scope in ("category", "anywhere"):
        return {}
    if config.compatible.path is None:
        return built_in(config.scope)
    table = user_tables.read(spark, "compatible.path", config.compatible, COLUMNS, COLUMNS)
    found: dict[str, set[str]] = {}
    for row in table.distinct().collect():
        found.setdefault(row["category"], set()).add(row["compatible"])
    return {category: frozenset(filter(None, others)) for category, others in found.items()}


def built_in(scope: Scope) -> Related:
    """Return the related categories of each built-in category: substitutes, or complements."""
    tree = yaml.safe_load(resources.files("fashion_udf.similar").joinpath("compatible.yaml").read_bytes())
    found: dict[str, set[str]] = {}
    if scope == "compatible":
        for names in tree["substitutes"]:
            for name in names:
                found.setdefault(name, set()).update(names)
    else:
        for entry in tree["complements"]:
            for name in entry["of"]:
                found.setdefault(name, set()).update(entry["with"])
    return {category: frozenset(others) for category, others in found.items()}


def pools(scope: Scope, table: Related, categories: Iterable[str]) -> Pools:
    """Return the pools of the categories of a catalog.

    Args:
        scope: scope of the configuration.
        table: the result of `related`.
        categories: categories of the products.

    Raises:
        ConfigError: the table has none of the categories.
    """
    known = sorted(categories)
    if scope == "anywhere":
        return Pools(dict.fromkeys(known, ANYWHERE), dict.fromkeys(known, (ANYWHERE,)))
    if scope == "category":
        return Pools({name: name for name in known}, {name: (name,) for name in known})
    if known and table.keys().isdisjoint(known):
        raise ConfigError(
            "Expected categories of the products in the table of compatible categories (compatible.path). Received: "
            f"none of {', '.join(known[:10])}"
        )
    own = scope == "compatible"
    sets = {name: (table.get(name, frozenset()) - {name}) | ({name} if own else set()) for name in known}
    named = {frozenset(found): _name(found) for found in sets.values() if found}
    searched = {name: named[frozenset(found)] for name, found in sets.items() if found}
    held = {name: tuple(sorted(pool for found, pool in named.items() if name in found)) for name in known}
    return Pools(searched, held)


def _name(categories: Iterable[str]) -> str:
    ordered = sorted(categories)
    digest = hashlib.sha256("\n".join(ordered).encode()).hexdigest()[:8]
    return f"{ordered[0]} and {len(ordered) - 1} more ({digest})" if ordered[1:] else ordered[0]
