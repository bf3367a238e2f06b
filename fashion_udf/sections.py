"""Read YAML into frozen, validated sections. Unknown keys are refused by name.

The jobs (`config.JobConfig`) and training (`training.fitting.recipe.Recipe`) use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from fashion_udf.errors import ConfigError


class Section(BaseModel):
    """A section of the configuration. It is frozen and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SectionT = TypeVar("SectionT", bound=Section)


def load(model: type[SectionT], path: str | Path, overrides: Mapping[str, Any] = MappingProxyType({})) -> SectionT:
    """Read a YAML file, apply the overrides, and validate the result.

    Args:
        model: the section that the file describes.
        path: path of the file.
        overrides: values by dotted key, such as `input.path`. They apply in their order.

    Raises:
        ConfigError: the file cannot be read or parsed, or a key or value is not accepted. The message names every
            such key.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Expected a readable YAML file. Received: {path} ({error})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"Expected valid YAML in {path}. Received: {' '.join(str(error).split())}") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"Expected a mapping at the top of {path}. Received: {type(tree).__name__}")
    for key, value in overrides.items():
        _override(tree, key, value)
    return validate(model, tree, str(path))


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Parse the arguments `key.path=value` of a command line. The values are YAML.

    Raises:
        ConfigError: an argument is malformed.
    """
    overrides: dict[str, Any] = {}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator or not key:
            raise ConfigError(f"Expected --set key=value. Received: {word!r}")
        try:
            overrides[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"Expected a YAML value in --set {key}=... Received: {text!r}") from error
    return overrides


def validate(model: type[SectionT], tree: Mapping[str, Any], origin: str) -> SectionT:
    """Validate a mapping as `model`; `origin` names it in the error."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {_plain(item['type'], item['msg'])}"
            for item in error.errors(include_url=False)
        )
        raise ConfigError(f"Expected a valid {model.__name__} in {origin}. Received: {problems}") from error


def _plain(kind: str, message: str) -> str:
    return {"extra_forbidden": "unknown key", "missing": "required, but not given"}.get(kind, message)


def _override(tree: dict[str, Any], key: str, value: object) -> None:
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"Expected {parent!r} in {key} to be a section. Received: {child!r}")
        node = child
    node[last] = value
