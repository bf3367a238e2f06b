"""Configuration: YAML validated into frozen models; unknown keys are refused by name.

`load` serves the jobs (`JobConfig` below) and training (`training.fitting.recipe.Recipe`) alike.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fashion_udf.errors import ConfigError

#: Characters that make Spark take a path for a pattern of several paths.
SPARK_PATTERN = re.compile(r"[*?\[\]{}\\]")


class Section(BaseModel):
    """A part of the configuration: frozen, strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Columns(Section):
    """Names of the catalog's columns in the source; a null entry means the source has no such column."""

    product_id: str = "product_id"
    title: str | None = "title"
    description: str | None = "description"
    image: str | None = None
    image_uri: str | None = None
    image_version: str | None = None


class Csv(Section):
    """How CSV files are written; `auto` finds it out from each file."""

    delimiter: str = "auto"
    quote: str | None = "auto"  # null: fields are never quoted
    escape: str | None = "auto"  # stands before a quote inside a field; null: such a quote is doubled
    encoding: str = "auto"  # a name that Python knows

    @field_validator("delimiter", "quote", "escape")
    @classmethod
    def _one_character(cls, character: str | None) -> str | None:
        if character not in (None, "auto") and len(str(character)) != 1:
            raise ValueError(f"expected one character or auto, received {character!r}")
        return character

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        if encoding != "auto":
            try:
                codecs.lookup(encoding)
            except LookupError:
                raise ValueError(f"expected an encoding that Python knows, received {encoding!r}") from None
        return encoding


class Input(Section):
    """Where the catalog is and how to read it."""

    path: str
    format: Literal["parquet", "csv", "json", "table", "delta"] = "parquet"
    columns: Columns = Columns()
    csv: Csv = Csv()
    ignore: tuple[str, ...] = ()  # patterns of names, or of paths below `path`, of files to leave out
    image_roots: tuple[str, ...] = ()  # paths; a file: URI becomes the path that it names
    max_rejected: int = Field(0, ge=0)

    @field_validator("image_roots")
    @classmethod
    def _paths(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_local_directory, roots))


class Output(Section):
    """Where the tags table, its log, staging and run reports are kept."""

    path: str

    @field_validator("path")
    @classmethod
    def _no_pattern(cls, path: str) -> str:
        if match := SPARK_PATTERN.search(path):
            raise ValueError(f"expected no {match[0]!r}: Spark would take it for a pattern of several paths")
        return path


class Engine(Section):
    """Which engine runs the model, and how."""

    name: str = "openvino"
    #: One that the bundle offers; auto: that of the published table while the bundle is the same, else the fastest.
    precision: Literal["auto", "f32", "bf16", "int8"] = "auto"
    #: Rows of one call. In int8, two processes scored 183 rows/s with 8, 175 with 16 and 162 with 32: then the feature
    #: maps do not fit a core's cache. In f32, and in TensorFlow, 8 and 16 are equally fast.
    batch_size: int = Field(8, ge=1, le=4096)


class Limits(Section):
    """Bounds on one photo and on one batch of photos."""

    max_image_bytes: int = Field(50_000_000, ge=1)
    max_image_pixels: int = Field(89_478_485, ge=1)  # Pillow's MAX_IMAGE_PIXELS: where it starts to warn of a bomb
    batch_bytes: int = Field(32_000_000, ge=1_000_000)  # photo bytes in one Arrow batch
    batch_timeout: float = Field(600.0, gt=0)  # seconds after which a batch is taken for hung
    #: Nights on which a photo that cannot be had is tried; then it rests until photo, text or model changes. An outage
    #: of a long weekend is shorter.
    retry_nights: int = Field(5, ge=1)
    fetch_threads: int = Field(8, ge=0, le=64)  # fetch photos by URI while the engine works; 0: one after the other


class Gates(Section):
    """How much a new table may differ before a person must look at it, as shares of rows.

    A table of fewer than 100 rows may exceed a limit by three rows; the limit of lost rows holds at any size.
    """

    max_failures: float = Field(0.25, ge=0, le=1)
    max_without_category: float = Field(0.1, ge=0, le=1)
    max_row_drop: float = Field(0.1, ge=0, le=1)
    max_one_category: float = Field(0.5, ge=0, le=1)
    max_shift: float = Field(0.1, ge=0, le=1)  # total variation between the shares of the categories
    max_flips: float = Field(0.1, ge=0, le=1)  # products whose category changed
    max_withdrawn: float = Field(0.1, ge=0, le=1)  # of the products that people decided


class Overrides(Section):
    """A table of people's categories, with the columns product_id and category; no run overwrites them."""

    path: str | None = None
    format: Literal["parquet", "csv", "json", "table", "delta"] = "parquet"
    max_unknown: float = Field(0.5, ge=0, le=1)  # share of the decisions with a product or category that is not known


class Publish(Section):
    """What else a run updates when it has published a snapshot."""

    table: str | None = None  # an external Parquet table of Spark's catalog, moved to each new snapshot
    delta: bool = False  # a Delta log in tags/data, so that the table can be read as a Delta table by its path


class JobConfig(Section):
    """Everything `jobs/tag_catalog.py` reads."""

    input: Input
    output: Output
    bundle: str = "builtin"
    engine: Engine = Engine()
    limits: Limits = Limits()
    gates: Gates = Gates()
    overrides: Overrides = Overrides()
    publish: Publish = Publish()
    #: A new model alone changes a category only if the confidence of the new category is above the confidence of the
    #: published one by more than this; null: always.
    stability_margin: float | None = Field(None, ge=0, le=1)
    top_k: int = Field(5, ge=1)


SectionT = TypeVar("SectionT", bound=Section)


def load(model: type[SectionT], path: str | Path, overrides: Mapping[str, Any] = MappingProxyType({})) -> SectionT:
    """Read a YAML file, put the overrides in and validate.

    Args:
        model: what the file describes.
        path: of the file.
        overrides: value by dotted key, such as `input.path`, in the order in which they apply.

    Raises:
        ConfigError: the file cannot be read or parsed, or a key or value is not accepted; the message names every
            offending key.
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
    """Read `key.path=value` words of a command line; the values are YAML.

    Raises:
        ConfigError: a word is malformed.
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


def _local_directory(root: str) -> str:
    if (scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", root)) is None and root.strip():
        return root
    parts = urlsplit(root)
    if scheme is None or scheme[1].lower() != "file" or parts.netloc not in ("", "localhost") or not parts.path:
        raise ValueError(f"expected the path or file: URI of a local directory. Received: {root!r}")
    return unquote(parts.path, errors="surrogateescape")


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
