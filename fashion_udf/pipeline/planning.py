"""The inputs of a run, which are fixed when it starts, and its plan on top of the current snapshot."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from fashion_udf.catalog import columns, overrides, sources
from fashion_udf.config import JobConfig
from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.photos import parquet_photos
from fashion_udf.photos.parquet_photos import PhotoColumn
from fashion_udf.pipeline import (
    comparison,
    fingerprint,
    overriding,
    photo_places,
    precision,
    preflight,
    retries,
    staging,
    written,
)
from fashion_udf.pipeline.comparison import PlanCounts, Scope
from fashion_udf.pipeline.fingerprint import Versions
from fashion_udf.schema import PLAN, RESULT, TAGS, Reason, to_spark
from fashion_udf.scoring.scorer import Settings
from fashion_udf.spark import session, sums
from fashion_udf.table import data_files, decisions, metastore, paths, snapshot
from fashion_udf.table.commit import Commit
from fashion_udf.table.paths import Location
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """The inputs of a run. They do not change during the run."""

    spark: SparkSession
    config: JobConfig
    scope: Scope
    run_id: str
    bundle: Bundle
    versions: Versions
    source: DataFrame  # all rows of `columns.read`, without `image` if `photos` is not None
    rows: DataFrame  # the accepted rows, from `fingerprint.with_fingerprints`
    rejected: DataFrame  # the rejected ids, from `columns.split_ids`
    rejected_rows: int
    night: date = field(default_factory=lambda: today())  # in UTC
    #: Where Python workers read photos in the catalog's files. None means that photos are in `image`, or at URIs.
    photos: PhotoColumn | None = None
    notes: tuple[str, ...] = ()  # facts about how the catalog is read, for people
    requests: Accumulator[dict[str, int]] | None = None  # requests to S3 and hosts, by name, which tasks add to

    def settings(self, with_photos: bool) -> Settings:
        """Return the settings of scoring. Without photos, the photo column is ignored."""
        photo: Literal["bytes", "uri"] = "uri" if "image_uri" in self.source.columns else "bytes"
        engine, limits = self.config.engine, self.config.limits
        return Settings(
            engine=engine.name,
            precision=engine.precision,
            batch_size=engine.batch_size,
            top_k=self.config.top_k,
            photo=photo if with_photos else "none",
            image_roots=self.config.input.image_roots,
            max_image_bytes=limits.max_image_bytes,
            max_image_pixels=limits.max_image_pixels,
            fetch_threads=limits.fetch_threads,
            remote=photo_places.remote(self.config, self.spark.sparkContext.defaultParallelism),
        )

    @property
    def staging(self) -> Location:
        """The staging directory of the run."""
        return paths.staging_dir(self.config.output.path, self.run_id)

    @property
    def directory(self) -> Location:
        """The directory of the run's reports."""
        return paths.run_dir(self.config.output.path, self.run_id)


@dataclass(frozen=True)
class Planned:
    """The plan of a run on top of one snapshot."""

    parent: Commit | None
    previous: DataFrame  # the published table, empty if there is none
    overrides: DataFrame
    rows: DataFrame  # the result of `comparison.with_actions`
    removed: DataFrame  # `product_id` of the published products to drop
    counts: PlanCounts

    @property
    def table_rows(self) -> int:
        """Number of rows of the next table."""
        before = self.parent.rows if self.parent else 0
        return before - self.counts.removed + self.counts.reasons.get(Reason.NEW, 0)

    @property
    def changes_nothing(self) -> bool:
        """Return whether the next table equals the published one."""
        counts = self.counts
        if self.parent is None or counts.scored or counts.removed:
            return False
        return not self.overrides_change  # this check is last, because it reads the whole table

    @property
    def overrides_change(self) -> bool:
        """Whether the current overrides change a published row."""
        return overriding.override_changes(self.previous, self.overrides) > 0


def today() -> date:
    """Return the day in UTC, which counts the nights of retries."""
    return datetime.now(UTC).date()


def start(spark: SparkSession, config: JobConfig, scope: Scope, run_id: str) -> Run:
    """Check the bundle and the catalog. Nothing is written.

    Raises:
        InputError: the config, catalog or bundle cannot be used.
    """
    if config.publish.table:
        metastore.quoted_name(config.publish.table)  # a wrong name ends the run at its start
    preflight.require_inputs(spark, config)
    model = bundle.read(config.bundle, open_store)
    versions = _versions(config, model)
    versions = replace(versions, precision=precision.resolve(spark, config.output.path, model, versions))
    config = config.model_copy(update={"engine": config.engine.model_copy(update={"precision": versions.precision})})
    preflight.require_engine(spark, config.engine.name, versions.precision)
    catalog = columns.read(spark, config.input)
    places = photo_places.found(catalog.rows)
    preflight.require_photos(model, catalog, config.input, places)
    source, photos = catalog.rows, catalog.photos
    if photos is not None:
        source = source.drop("image")
    accepted, rejected = columns.split_ids(source)
    refused = columns.require_accepted(rejected, config.input.max_rejected)
    if not refused:
        accepted = source  # without a rejected id no filter is needed, which would count all ids in every query
    if scope.selected is not None:
        accepted = accepted.join(scope.selected, on="product_id", how="left_semi")
        if photos:
            tasks = 4 * spark.sparkContext.defaultParallelism
            accepted = parquet_photos.in_file_order(accepted, tasks)  # the join may have shuffled the rows
    versioned = config.input.columns.image_version is not None and _all_have_versions(accepted)
    looked_up = fingerprint.LookedUp(
        config.input.image_roots, config.s3, places.in_s3, requests := sums.sums(spark.sparkContext)
    )
    rows = fingerprint.with_fingerprints(accepted, versions, looked_up, versioned, photos)
    return Run(
        *(spark, config, scope, run_id, model, versions, source, rows, rejected, refused),
        photos=photos,
        notes=(*catalog.notes, *places.not_read(config.input.image_hosts)),
        requests=requests,
    )


def _versions(config: JobConfig, model: Bundle) -> Versions:
    return Versions(
        model_version=model.model_version,
        engine=config.engine.name,
        precision=config.engine.precision,
        top_k=min(config.top_k, len(model.labels)),  # a larger number has no effect
        max_image_bytes=config.limits.max_image_bytes,
        max_image_pixels=config.limits.max_image_pixels,
    )


def _all_have_versions(rows: DataFrame) -> bool:
    from pyspark.sql import functions as F

    without = F.col("image_version").isNull()
    if "image_uri" in rows.columns:
        without &= F.col("image_uri").isNotNull()
    if missing := rows.where(without).count():
        logger.info("%d rows have no image_version: their photos are identified by size and time, or by hash", missing)
    return not missing


def on_current(run: Run, target: Location | None) -> Planned:
    """Compare the catalog with the published table and with the staged results.

    Args:
        run: the result of `start`.
        target: where to write the plan, so that every later step reads the same plan even if the catalog changes. None
            means that nothing is written.

    Raises:
        SnapshotError: the published table is damaged, so that its rows cannot be carried.
    """
    output = run.config.output.path
    parent = snapshot.current(output)
    if parent:
        data_files.require_listed(output, parent)  # Parquet's checksums detect a wrong byte when it is read
    reviewed = decisions.categories(decisions.Decisions(open_store(output)).read())
    by_people = overrides.decisions(run.spark, run.config.overrides, run.source, run.bundle.labels, reviewed)
    previous = read(run.spark, [paths.snapshot_dir(output, parent.snapshot_id)] if parent else [], TAGS)
    in_scope = previous
    if run.scope.selected is not None:
        in_scope = previous.join(run.scope.selected, on="product_id", how="left_semi")
    staged = results(run, hold=target is not None)
    listed = retries.read(run.spark, output, but=run.run_id)
    rows = retries.with_failed_nights(run.rows, listed, run.night)
    rows = comparison.with_actions(rows, in_scope, staged, run.scope, run.config.limits.retry_nights)
    if target:
        written.write(rows, target)
        rows = read(run.spark, [target], PLAN)
    else:
        rows = session.cached(rows)
    removed = previous.select("product_id").join(rows, on="product_id", how="left_anti")
    published = (parent.rows if parent else 0) if run.scope.selected is None else None
    if published is None:
        removed = removed.limit(0)  # only a run on the whole catalog drops products
    counts = comparison.count(rows, published, run.run_id)
    counts = replace(counts, catalog={**counts.catalog, **by_people.unknown})
    return Planned(parent, previous, by_people.rows, rows, removed, counts)


def results(run: Run, hold: bool = True) -> DataFrame:
    """Return the staged results that the run may use (`comparison.usable_results`).

    `hold` is an argument of `staging.result_files`.
    """
    staged = read(run.spark, [file.place for file in staging.result_files(run.config.output.path, hold)], RESULT)
    return comparison.usable_results(staged, run.run_id, own_alone=run.scope.forced or run.scope.retry_failed)


def read(spark: SparkSession, places: Sequence[Location], schema: pa.Schema) -> DataFrame:
    """Read Parquet files of one of our schemas. A column that an older release did not write is null."""
    spark_schema = to_spark(schema)
    if not places:
        return sources.no_rows(spark, spark_schema)
    return spark.read.schema(spark_schema).options(**written.READ).parquet(*(place.uri for place in places))
