"""The run: compare the products of the current tags snapshot, and publish their lists.

    tags snapshot --compared--> products --+-- pools --search--> lists ----------------+--> similar/data/<run_id>
                                           +-- last lists, what changed --night--> lists +

A list depends only on the snapshot and the settings. If the published lists have the same settings and model, they are
updated, and only the lists that cannot be updated are searched again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fashion_udf.pipeline import outcome, preflight, staging
from fashion_udf.pipeline.outcome import Record
from fashion_udf.similar import (
    comparable,
    join,
    large_pools,
    lift,
    list_files,
    night,
    planning,
    scopes,
    search,
    writing,
)
from fashion_udf.similar.outcome import Counts, Preview, Recommended, measures
from fashion_udf.similar.planning import Pool
from fashion_udf.similar.scopes import Related
from fashion_udf.similar.selection import Rules
from fashion_udf.similar.settings import RecommendConfig
from fashion_udf.spark import full_disk, launcher, memory, session
from fashion_udf.table import paths, pins, snapshot
from fashion_udf.table.commit import Commit, DataFile, MadeFrom
from fashion_udf.table.paths import Location
from fashion_udf.table.tags_table import TagsTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

#: Spare entries after the k published ones, so that a list that loses some entries need not be searched again.
SPARE = 5
#: Rows of a task's batch: 10 MB of embeddings.
BATCH_ROWS = 10_000


@dataclass
class Run:
    """The inputs that the steps of a run share."""

    spark: SparkSession
    config: RecommendConfig
    run_id: str
    tags: Commit
    parent: Commit | None
    related: Related
    products: DataFrame
    counts: Counts
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """Root of the output."""
        return self.config.output.path

    @property
    def staging(self) -> Location:
        """The staging directory of the run."""
        return paths.staging_dir(self.output, self.run_id)

    @property
    def rules(self) -> Rules:
        """The rules of the lists."""
        config = self.config
        caps, ratios = tuple(config.at_most.values()), tuple(config.ratios.values())
        return Rules(config.k, config.minimum_score, config.same_photo, caps, ratios)

    @property
    def made_from(self) -> MadeFrom:
        """The inputs of the lists."""
        return MadeFrom(self.tags.number, self.config.digest(self.related))

    @property
    def last(self) -> Commit | None:
        """The published lists, if they can be updated: with the same model and settings."""
        parent, config = self.parent, self.config
        if parent is None or parent.made_from is None or parent.model_version != self.tags.model_version:
            return None
        # Lists in the order of lift, or with two limits, cannot be updated from their entries.
        if parent.made_from.settings != self.made_from.settings or config.pairs.path or len(config.at_most) > 1:
            return None
        return parent


def recommend(spark: SparkSession, config: RecommendConfig) -> Recommended:
    """Publish the similar products of the current tags snapshot. Nothing is published if nothing changed.

    Args:
        spark: a session that `session.require_usable` accepts.
        config: the config of the run.

    Raises:
        InputError: there is no tags table, or the settings name a missing column or category (exit 2).
        CommitConflictError: another run published lists first (exit 4). Nothing of this run was published.
    """
    run_id, output = paths.new_run_id(), config.output.path
    preflight.require_output(output, config.s3)
    tags = snapshot.newest(output)
    with (
        session.settings(spark, session_settings(spark, config)),
        session.uncached_after(),
        outcome.recorded(paths.run_dir(output, run_id)) as record,
        memory.explained(spark),
        full_disk.explained(spark, output),
        staging.alive(paths.staging_dir(output, run_id)),
        launcher.ended(),
        pins.held(output, tags, run_id),
    ):
        run = _start(spark, config, run_id, tags)
        commit, published = _publish(run, record)
        staging.remove(run.staging)
        return Recommended(run_id, commit.number, paths.data_dir(output, commit, paths.SIMILAR), published, run.counts)


def preview(spark: SparkSession, config: RecommendConfig) -> Preview:
    """Check everything and count what a run would do. Nothing is written."""
    preflight.require_output(config.output.path, config.s3)
    tags = snapshot.newest(config.output.path)
    with session.settings(spark, session_settings(spark, config)), session.uncached_after(), memory.explained(spark):
        run = _start(spark, config, paths.new_run_id(), tags)
        changes = night.changes(_step(run, run.last), run.counts.compared) if run.last else None
        wanted = _all(run.products)
        if changes is None:
            return Preview(run.counts, tuple(planning.plan(*join.counts(wanted), config.exact_limit)))
        return Preview(replace(run.counts, since=changes.counts), ())


def session_settings(spark: SparkSession, config: RecommendConfig) -> dict[str, str | int]:
    """Return the settings of the session during a run. They are restored afterwards."""
    return {
        **session.PINNED,
        **session.hadoop_settings(spark.sparkContext.getConf(), config.s3),
        "spark.sql.execution.arrow.maxRecordsPerBatch": BATCH_ROWS,
    }


def _start(spark: SparkSession, config: RecommendConfig, run_id: str, tags: Commit) -> Run:
    search.require_faiss()
    related = scopes.related(spark, config)
    table = TagsTable(config.output.path).to_spark(spark, tags.number)
    found = comparable.compared(table, tags.model_version)
    products = comparable.products(spark, config, found.rows, found.categories, related)
    parent = snapshot.current(config.output.path, paths.SIMILAR)
    counts = Counts(tags.rows, found.count, found.left_out)
    return Run(spark, config, run_id, tags, parent, related, products, counts)


def _publish(run: Run, record: Record) -> tuple[Commit, bool]:
    record.counts = run.counts
    parent = run.parent
    if run.last and parent and parent.made_from == run.made_from and run.config.columns.path is None:
        snapshot.update_pointer(run.output, parent, paths.SIMILAR)
        return parent, False  # the same snapshot and settings give the same lists
    target = paths.snapshot_dir(run.output, run.run_id, paths.SIMILAR)
    pools, files = _write(run, target)
    with _timed("measure", run.seconds):
        names = [file.name for file in files]
        lists, recommended = list_files.counted(run.spark, target, names, run.config.k, run.counts.compared)
        run.counts = record.counts = replace(run.counts, lists=lists, recommended=recommended)
    metrics: Mapping[str, object] = {**measures(pools, run.counts), "seconds": run.seconds, "k": run.config.k}
    outcome.write_metrics(paths.run_dir(run.output, run.run_id), metrics)
    with _timed("publish", run.seconds):
        commit = snapshot.publish(
            *(run.output, run.run_id, files, run.tags.model_version),
            expected_rows=run.counts.compared,
            parent=parent,
            made_from=run.made_from,
        )
    return commit, True


def _write(run: Run, target: Location) -> tuple[list[Pool], tuple[DataFile, ...]]:
    """Write the table of all lists; returns the pools that were searched whole, and the files."""
    if run.last and (files := _repaired(run, _step(run, run.last), target)):
        return [], files
    rules, rows = run.rules, _all(run.products)
    with _timed("divide", run.seconds):
        planned = planning.plan(*join.counts(rows), run.config.exact_limit)
        divided, rows = large_pools.divide(rows, planned, rules, run.config.exact_limit, run.config.recall)
        pools = planning.numbered(divided)
    run.counts = replace(run.counts, searched=sum(pool.queries for pool in pools))
    with _timed("search", run.seconds), writing.followed(run.spark, pools) as done:
        found = join.searched(rows, pools, rules, run.config.k + SPARE, done)
        if run.config.pairs.path:
            found = lift.ordered(run.spark, found, run.config.pairs)
        version, count = run.tags.model_version, run.counts.compared
        return pools, writing.write(run.products, found, version, run.config.k, SPARE, count, target)


def _repaired(run: Run, step: night.Step, target: Location) -> tuple[DataFile, ...] | None:
    """Write the last lists, brought up to date; None if so much changed that all are searched."""
    with pins.held(run.output, step.last, run.run_id, paths.SIMILAR):
        return _repaired_while_held(run, step, target)


def _repaired_while_held(run: Run, step: night.Step, target: Location) -> tuple[DataFile, ...] | None:
    with _timed("changes", run.seconds):
        changed = night.changes(step, run.counts.compared)
    if changed is None:
        return None
    with _timed("search", run.seconds):
        found = night.found(step, changed, run.staging)
    if found is None:
        return None
    run.counts = replace(run.counts, since=changed.counts, searched=len(found.found))
    with _timed("repair", run.seconds):
        return night.repaired(step, found, target)


def _step(run: Run, last: Commit) -> night.Step:
    return night.Step(run.spark, run.products, run.output, last, run.rules, run.config.k + SPARE)


def _all(products: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return products.withColumn("query", F.col("searched").isNotNull())


@contextmanager
def _timed(what: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[what] = time.monotonic() - started
    logger.info("%s: %.1f s", what, seconds[what])
