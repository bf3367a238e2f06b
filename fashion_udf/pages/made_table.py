"""The table that a run made, published or refused: figures for its page, the review queue, and a few photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fashion_udf.catalog import columns
from fashion_udf.catalog.columns import Catalog
from fashion_udf.config import JobConfig
from fashion_udf.pages import products, queue, table_figures, thumbnails
from fashion_udf.pages.figures import Failure, Pair, Suspects, Unsure
from fashion_udf.pages.run_page import Product
from fashion_udf.pipeline import planning
from fashion_udf.schema import TAGS
from fashion_udf.spark import parallel
from fashion_udf.table import paths
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Made = TypeVar("Made")
#: Columns of the tables of `run_tables`. Without a schema, Spark would run a job to find it.
_CHANGES = "product_id string, `from` string, `to` string, cause string"
_FAILURES = "product_id string, status string, error string"


class Tried(Protocol):
    """Makes a part of a page. If this fails, it adds a note to the page and returns the given default."""

    def __call__(self, what: str, make: Callable[[], Made], otherwise: Made) -> Made:
        """Make the part."""


@dataclass(frozen=True)
class TableFigures:
    """The page's figures of the table: fields of `RunFigures`, and figures of the categories."""

    histogram: list[int] | None
    least_sure: dict[str, list[Unsure]]
    changed: int
    pairs: list[Pair]
    failures: list[Failure]
    suspect_rows: dict[str, int]
    suspects: list[Suspects]


@dataclass(frozen=True)
class MadeTable:
    """A table that a run made.

    Attributes:
        spark, config, run_id: session, config and id of the run.
        place: place of the table.
        rows: number of rows of the table.
        previous: the table published before, if another model scored it.
        tried: makes a part of the page.
    """

    spark: SparkSession
    config: JobConfig
    run_id: str
    place: Location
    rows: int
    previous: Location | None
    tried: Tried

    def figures(self) -> TableFigures:
        """Count the page's figures, and write the review queue, with several Spark queries at a time."""
        table = planning.read(self.spark, [self.place], TAGS)
        directory = paths.run_dir(self.config.output.path, self.run_id)

        def of_run(name: str, columns: str) -> DataFrame:
            return self.spark.read.schema(columns).parquet((directory / f"{name}.parquet").uri)

        parts: list[tuple[str, Callable[[], Any], Any]] = [
            ("confidences", lambda: table_figures.histogram(table), None),
            ("least sure products", lambda: table_figures.least_sure(table), {}),
            ("changes", lambda: table_figures.changed_pairs(of_run("changes", _CHANGES)), (0, [])),
            ("failures", lambda: table_figures.failures(of_run("failures", _FAILURES)), []),
            ("the review queue", lambda: self._write_queue(table), ({}, [])),
        ]
        queries = [lambda part=part: self.tried(*part) for part in parts]
        made = parallel.run_concurrently(self.spark.sparkContext, "page of the run", queries, len(parts))
        histogram, least_sure, (changed, pairs), failures, suspects = made
        return TableFigures(histogram, least_sure, changed, pairs, failures, *suspects)

    def photos(self, product_ids: Sequence[str]) -> dict[str, Product]:
        """Return titles and small photos of a few products. Call `figures` before."""
        known = products.read(self.spark, self.config.output.path, self.run_id)
        return thumbnails.read(self.spark, self.config, self._catalog, known, product_ids)

    @cached_property
    def _catalog(self) -> Catalog:
        return columns.read(self.spark, self.config.input)

    def _write_queue(self, table: DataFrame) -> tuple[dict[str, int], list[Suspects]]:
        previous = planning.read(self.spark, [self.previous], TAGS) if self.previous else None
        waiting = queue.waiting(table, self.rows, previous)
        shown = products.write(self._catalog, waiting, self.config.output.path, self.run_id)
        written = queue.write(self.spark, self.config, self.run_id, self._catalog, waiting, shown)
        return table_figures.suspects(written)
