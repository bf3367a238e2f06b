"""The configuration of the jobs, `JobConfig`, section by section."""

from __future__ import annotations

import codecs
import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from fashion_udf.s3 import S3Settings
from fashion_udf.sections import Section as Section
from fashion_udf.sections import load as load
from fashion_udf.sections import parse_overrides as parse_overrides
from fashion_udf.sections import validate as validate

#: Characters that make Spark take a path for a pattern of several paths.
SPARK_PATTERN = re.compile(r"[*?\[\]{}\\]")

#: A host, perhaps with a port; or all hosts below one, at least of two labels: `*.com` is no choice.
HOST = re.compile(r"[A-Za-z0-9_.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?|\*(\.[A-Za-z0-9_-]+){2,}(:\d+)?")


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
    #: Hosts that photos may be fetched from by https or http: cdn.example, cdn.example:8443, *.example.
    image_hosts: tuple[str, ...] = ()
    private_image_hosts: bool = False  # whether these may have private, loopback and link-local addresses
    max_rejected: int = Field(0, ge=0)

    @field_validator("image_roots")
    @classmethod
    def _paths(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_local_directory, roots))

    @field_validator("image_hosts")
    @classmethod
    def _host_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not HOST.fullmatch(host):
                raise ValueError(f"expected names of hosts such as cdn.example or *.example, received {host!r}")
        return hosts


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
    #: Nights on which a photo that cannot be had is tried; then it rests until it changes. A long weekend is shorter.
    retry_nights: int = Field(5, ge=1)
    image_timeout: float = Field(60.0, gt=0)  # seconds for a photo of S3 or a host, attempts and redirects included
    requests_per_second: float = Field(500.0, gt=0)  # to one host, of all tasks together
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
    max_refused: float = Field(0.5, ge=0, le=1)  # of 100 photos in a row that a task asked S3 for: 403 and the like
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


class Pages(Section):
    """What the page of a run and the review need."""

    core_hour_price: float | None = Field(None, ge=0)  # of a core for an hour, in any currency
    scored_alone: int = Field(500, ge=0)  # most rows to review whose photo and text a night scores each alone


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
    s3: S3Settings = S3Settings()
    pages: Pages = Pages()
    #: A new model alone changes a category only if the confidence of the new category is above the confidence of the
    #: published one by more than this; null: always.
    stability_margin: float | None = Field(None, ge=0, le=1)
    top_k: int = Field(5, ge=1)


def _local_directory(root: str) -> str:
    if (scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", root)) is None and root.strip():
        return root
    parts = urlsplit(root)
    if scheme is None or scheme[1].lower() != "file" or parts.netloc not in ("", "localhost") or not parts.path:
        raise ValueError(f"expected the path or file: URI of a local directory. Received: {root!r}")
    return unquote(parts.path, errors="surrogateescape")
