"""The keys of a configuration as docs/configuration.md lists them, and as the models have them."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic_core import PydanticUndefined

from fashion_udf.config import Section
from tests.submit import REPOSITORY

#: What stands in the table for a key without a default.
REQUIRED = "required"


def documented(heading: str) -> dict[str, object]:
    """Return the default of each key in the table below a heading."""
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    part = re.split(r"^## ", page.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (`(.*?)`|required) \| (.+) \|$", part, flags=re.MULTILINE)
    assert len({key for key, *_ in rows}) == len(rows), "each key once"
    return {key: yaml.safe_load(value) if value else REQUIRED for key, _, value, _ in rows}


def keys_of(model: type[Section], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield each key with its default; a section gives its own keys, and itself where it may be null."""
    for name, field in model.model_fields.items():
        key, section = f"{prefix}{name}", _section_in(field.annotation)
        if section is None or field.default is None:
            yield (
                key,
                REQUIRED
                if field.default is PydanticUndefined and field.default_factory is None
                else _plain(field.get_default(call_default_factory=True)),
            )
        if section is not None:
            yield from keys_of(section, f"{key}.")


def _section_in(annotation: Any) -> type[Section] | None:
    """Return the section that a key holds itself, or that it may hold; a list of sections is one key."""
    among = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    sections = [each for each in among if isinstance(each, type) and issubclass(each, Section)]
    return sections[0] if sections else None


def _plain(default: object) -> object:
    if isinstance(default, tuple):
        return [*default]
    return dict(default) if isinstance(default, Mapping) else default
