"""The taxonomy: the family of each category. A bundle and a recipe have a file `taxonomy.yaml`.

    Footwear: [Casual Shoes, Sports Shoes, Sandals]
    Watches: [Watches]

A category that no family lists is its own family. The file is untrusted input: only its nodes are read and no objects
are constructed, so that tags, merge keys and aliases have no effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import yaml
from numpy.typing import NDArray

from fashion_udf.errors import BundleError

LIMIT = 1_000_000  # bytes
_STRING = "tag:yaml.org,2002:str"
_KIND = {yaml.ScalarNode: "single value", yaml.SequenceNode: "list", yaml.MappingNode: "mapping"}


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """The families of a model's categories.

    Attributes:
        names: the families, in the order of their first category.
        parents: int[K], index of each category's family in `names`.
        by_category: the name of each category's family.
    """

    names: tuple[str, ...]
    parents: NDArray[np.intp]
    by_category: Mapping[str, str]

    def parent(self, category: str) -> str:
        """Return the family of a category. A category that the model does not know is its own family."""
        return self.by_category.get(category, category)


def parse(content: bytes, labels: Sequence[str], source: str = "taxonomy.yaml") -> Taxonomy:
    """Read the taxonomy of a bundle.

    Args:
        content: the bytes of the file.
        labels: the categories of the model.
        source: the name of the file in errors.

    Raises:
        BundleError: the file is no mapping of families to lists of categories, or a category is repeated or unknown.
    """
    return build(read_families(content, source), labels, source)


def build(families: Mapping[str, Sequence[str]], labels: Sequence[str], source: str = "taxonomy.yaml") -> Taxonomy:
    """Return the taxonomy of a mapping. Arguments and errors are those of `parse`."""
    by_category: dict[str, str] = {}
    for family, categories in families.items():
        for category in categories:
            if category in by_category:
                raise BundleError(
                    f"Expected every category once in {source}. Received: {category!r} in {by_category[category]!r} "
                    f"and in {family!r}. Remove one of the two"
                )
            by_category[category] = family
    if unknown := sorted(by_category.keys() - set(labels)):
        raise BundleError(
            f"Expected only categories of the model in {source}. Received: {', '.join(map(repr, unknown[:5]))}. "
            "Remove these categories"
        )
    chosen = [by_category.get(label, label) for label in labels]
    names = tuple(dict.fromkeys(chosen))
    place = {name: index for index, name in enumerate(names)}
    return Taxonomy(
        names, np.asarray([place[name] for name in chosen], np.intp), dict(zip(labels, chosen, strict=True))
    )


def render(families: Mapping[str, Sequence[str]], labels: Sequence[str]) -> bytes:
    """Return the `taxonomy.yaml` of a model, without categories that the model does not know."""
    known = {family: [name for name in names if name in labels] for family, names in families.items()}
    tree = {family: names for family, names in known.items() if names}
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, width=120).encode()


def read_families(content: bytes, source: str) -> dict[str, list[str]]:
    """Return the categories of each family. They may be unknown to a model.

    Raises:
        BundleError: the file is too large, no YAML, or no mapping of names to lists of names.
    """
    if len(content) > LIMIT:
        raise BundleError(f"Expected {source} to have at most {LIMIT} bytes. Received: {len(content)}")
    try:
        tree = yaml.compose(content, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = "too many levels" if isinstance(error, RecursionError) else " ".join(str(error).split())[:200]
        raise BundleError(f"Expected {source} to be YAML. Received: {reason}") from error
    if tree is None:  # an empty file: each category is its own family
        return {}
    if not isinstance(tree, yaml.MappingNode):
        raise BundleError(f"Expected {source} to map each family to its categories. Received: a {_KIND[type(tree)]}")
    families: dict[str, list[str]] = {}
    for key, value in tree.value:
        family = _name(key, source)
        if family in families:
            raise BundleError(f"Expected every family once in {source}. Received: {family!r} twice. Join their lists")
        if not isinstance(value, yaml.SequenceNode):
            raise BundleError(
                f"Expected a list of categories for {family!r} in {source}. Received: a {_KIND[type(value)]}"
            )
        families[family] = [_name(entry, source) for entry in value.value]
    return families


def _name(node: yaml.Node, source: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise BundleError(
            f"Expected names in {source}, line {node.start_mark.line + 1}. Received: a {_KIND[type(node)]}"
        )
    if node.tag != _STRING:
        raise BundleError(
            f"Expected names in {source}, line {node.start_mark.line + 1}. Received: {node.value!r}, which YAML takes "
            f"for {node.tag.rpartition(':')[2]}. Write it in quotes"
        )
    if not node.value.strip():
        raise BundleError(f"Expected names in {source}, line {node.start_mark.line + 1}. Received: an empty name")
    return str(node.value)
