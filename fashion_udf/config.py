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

#: Characters that make Spark read a path as a glob pattern.
SPARK_PATTERN = re.compile(r"[*?\[\]{}\\]")

#: A host with an optional port, or all hosts below a domain of at least two labels: `*.com` is refused.
HOST = re.compile(r"[A-Za-z0-9_.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?|\*(\.[A-Za-z0-9_-]+){2,}(:\d+)?")


class Columns(Section):
    """Names of the catalog's columns in the source. Null means that the source has no such column."""

    product_id: str = "product_id"
    title: str | None = "title"
    description: str | None = "description"
    image: str | None = None
    image_uri: str | None = None
    image_version: str | None = None


class Csv(Section):
    """How CSV files are written. `auto` detects it for each file."""

    delimiter: str = "auto"
    quote: str | None = "auto"  # null: fields are never quoted
    escape: str | None = "auto"  # the character before a quote inside a field; null: the quote is doubled
    encoding: str = "auto"  # a name of a Python codec

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
    ignore: tuple[str, ...] = ()  # files to leave out: patterns of names, or of paths below `path`
    image_roots: tuple[str, ...] = ()  # directories that photos may lie in; a file: URI becomes a path
    #: Hosts that photos may be fetched from by https or http: cdn.example, cdn.example:8443, *.example.
    image_hosts: tuple[str, ...] = ()
    private_image_hosts: bool = False  # whether these hosts may have private, loopback or link-local addresses
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
            raise ValueError(f"expected no {match[0]!r}: Spark would read the path as a pattern")
        return path


class Engine(Section):
    """Which engine runs the model, and how."""

    name: str = "openvino"
    #: auto: the precision of the published table while the bundle is the same; otherwise the fastest for the CPU.
    precision: Literal["auto", "f32", "bf16", "int8"] = "auto"
    #: Rows of one call of the model. Larger batches are slower in int8: their feature maps do not fit a core's cache.
    batch_size: int = Field(8, ge=1, le=4096)


class Limits(Section):
    """Limits on one photo and on one batch of photos."""

    max_image_bytes: int = Field(50_000_000, ge=1)
    max_image_pixels: int = Field(89_478_485, ge=1)  # Pillow's MAX_IMAGE_PIXELS
    batch_bytes: int = Field(32_000_000, ge=1_000_000)  # photo bytes in one Arrow batch
    batch_timeout: float = Field(600.0, gt=0)  # seconds after which a batch counts as hung
    #: Nights on which an unreachable photo is tried; then it rests until it changes. More than a long weekend.
    retry_nights: int = Field(5, ge=1)
    image_timeout: float = Field(60.0, gt=0)  # seconds for a photo of S3 or a host, with all attempts and redirects
    requests_per_second: float = Field(500.0, gt=0)  # to one host, from all tasks together
    fetch_threads: int = Field(8, ge=0, le=64)  # threads that fetch photos by URI while the engine works; 0: none


class Gates(Section):
    """How much a new table may differ from the published one, as shares of rows. A run that exceeds a limit stops.

    A table of fewer than 100 rows may exceed a limit by three rows. The limit of lost rows holds at any size.
    """

    max_failures: float = Field(0.25, ge=0, le=1)
    max_without_category: float = Field(0.1, ge=0, le=1)
    max_row_drop: float = Field(0.1, ge=0, le=1)
    max_one_category: float = Field(0.5, ge=0, le=1)
    max_shift: float = Field(0.1, ge=0, le=1)  # total variation distance between the shares of the categories
    max_flips: float = Field(0.1, ge=0, le=1)  # products whose category changed
    max_refused: float = Field(0.5, ge=0, le=1)  # of 100 consecutive photos of a task that S3 refuses, as with 403
    max_withdrawn: float = Field(0.1, ge=0, le=1)  # of the products with a decision of a person


class Overrides(Section):
    """People's categories: a table with the columns product_id and category. No run overwrites these categories."""

    path: str | None = None
    format: Literal["parquet", "csv", "json", "table", "delta"] = "parquet"
    max_unknown: float = Field(0.5, ge=0, le=1)  # share of the decisions whose product or category is unknown


class Publish(Section):
    """What else a run updates when it has published a snapshot."""

    table: str | None = None  # an external Parquet table in the metastore, which then shows each new snapshot
    delta: bool = False  # write a Delta log in tags/data, so that the table can be read as a Delta table


class Pages(Section):
    """What the page of a run and the review need."""

    core_hour_price: float | None = Field(None, ge=0)  # price of one core for one hour, in any currency
    scored_alone: int = Field(500, ge=0)  # maximum of rows to review whose photo and text are also scored separately


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
    #: Where only the model changed, a category changes only if the confidence of the new category exceeds that of the
    #: published category by more than this margin. Null: no margin.
    stability_margin: float | None = Field(None, ge=0, le=1)
    top_k: int = Field(5, ge=1)


def _local_directory(root: str) -> str:
    if (scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", root)) is None and root.strip():
        return root
    parts = urlsplit(root)
    if scheme is None or scheme[1].lower() != "file" or parts.netloc not in ("", "localhost") or not parts.path:
        raise ValueError(f"expected the path or file: URI of a local directory. Received: {root!r}")
    return unquote(parts.path, errors="surrogateescape")
