"""Run the job and write its page, however the run ends: index.html, figures.json and metrics.prom in `runs/<run_id>/`.

If a part of the page fails, the page names it. If the page cannot be written, a warning is logged, and the run goes on.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeVar

from fashion_udf import errors
from fashion_udf.config import JobConfig
from fashion_udf.pages import claims, former_runs, inputs, prometheus, run_page, run_words
from fashion_udf.pages.figures import Acceptance, Category, Cost, RunFigures, Unsure
from fashion_udf.pages.made_table import MadeTable
from fashion_udf.pages.run_page import Product
from fashion_udf.pipeline import refused, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.pipeline.outcome import Outcome
from fashion_udf.spark import session
from fashion_udf.table import paths, snapshot
from fashion_udf.table.paths import Location
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

Made = TypeVar("Made")


def tag(spark: SparkSession, config: JobConfig, scope: Scope | None = None) -> Outcome:
    """Run `tagging.tag` and write the run's page, also for a refused or failed run.

    A run that is ended by a signal has no time for a page: YARN kills it after 250 ms.
    """
    run_id, outcome = paths.new_run_id(), None
    try:
        outcome = tagging.tag(spark, config, scope, run_id)
    except errors.Stopped:
        raise
    except BaseException:
        write(spark, config, run_id, None)
        raise
    write(spark, config, run_id, outcome)
    return outcome


def write(spark: SparkSession, config: JobConfig, run_id: str, outcome: Outcome | None) -> None:
    """Write the page of a run that has ended, its files for programs, and the list of runs. This never raises an error.

    Args:
        spark: the session of the run.
        config: the config of the run.
        run_id: id of the run. Without `runs/<run_id>/outcome.json`, nothing is written.
        outcome: the result of the run; None if it raised an error.
    """
    try:
        page = _Page(spark, config, run_id, outcome)
        if page.report.outcome:
            page.write()
    except Exception as error:
        logger.warning("the page of run %s was not written: %s", run_id, errors.one_line(error))
        logger.debug("traceback", exc_info=True)


@dataclass
class _Page:
    spark: SparkSession
    config: JobConfig
    run_id: str
    outcome: Outcome | None
    missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = open_store(self.config.output.path)
        self.reports = former_runs.read(self.store, former_runs.LISTED)
        own = [report for report in self.reports if report.run_id == self.run_id]
        self.report = own[0] if own else former_runs.Report(self.run_id, {}, {})

    def write(self) -> None:
        figures, products = self._figures()
        html = run_page.render(figures, products)
        folder = f"runs/{self.run_id}"
        self.store.replace(f"{folder}/figures.json", json.dumps(figures.as_dict(), indent=1).encode())
        self.store.replace(f"{folder}/metrics.prom", prometheus.render(figures).encode())
        self.store.replace(f"{folder}/index.html", html.encode("utf-8", "replace"))
        self._write_index()

    def _write_index(self) -> None:
        listed = [
            (former_runs.line(report), run_words.in_a_word(report.outcome))
            for report in reversed(self.reports)
            if report.outcome
        ]
        self.store.replace("index.html", run_page.render_index(listed).encode("utf-8", "replace"))

    def _figures(self) -> tuple[RunFigures, dict[str, Product]]:
        before = [report for report in self.reports if report.run_id < self.run_id]
        newest, histogram = former_runs.newest_figures(self.store, before[-former_runs.CURVES :])
        told = inputs.told(self.config, self.report.metrics)
        number = self.outcome.number if self.outcome else self._number()
        cost = self._cost()
        figures = RunFigures(
            run_id=self.run_id,
            exit_code=int(self.report.outcome.get("exit_code", 1)),
            message=str(self.report.outcome.get("message", "")),
            verdict="",
            number=number,
            decisions=self.report.metrics.get("decisions", {}),
            modalities=self.report.metrics.get("modalities", {}),
            previous_histogram=histogram,
            history=[former_runs.line(report) for report in [*before, self.report][-former_runs.CURVES :]],
            acceptance=self._acceptance(),
            categories=self._categories({}),
            cost=cost,
            inputs=told,
            differences=inputs.differences(newest.get("inputs", {}), told) if newest else (),
        )
        products: dict[str, Product] = {}
        if figures.exit_code in (0, 3):  # after any other end, Spark may have ended too
            with session.settings(self.spark, tagging.session_settings(self.spark, self.config)):
                figures, products = self._with_table(figures)
            self._tried("old claims of rows", lambda: claims.remove_old(self.store, time.time()), 0)
        table = str(self._table() or "") or None
        figures = run_words.with_words(figures, self.config, self.report.outcome, table, self._gates())
        return replace(figures, missing=tuple(self.missing)), products

    def _with_table(self, figures: RunFigures) -> tuple[RunFigures, dict[str, Product]]:
        place = self._table()
        made_one = self.outcome is None or self.outcome.published
        rows = self.report.metrics.get("rows")
        if place is None or not made_one or not rows:
            return figures, {}
        table = MadeTable(self.spark, self.config, self.run_id, place, rows, self._previous(), self._tried)
        made = table.figures()
        figures = replace(
            figures,
            histogram=made.histogram,
            categories=self._categories(made.least_sure),
            changed=made.changed,
            pairs=made.pairs,
            failures=made.failures,
            suspects=made.suspects,
            suspect_rows=made.suspect_rows,
        )
        return figures, self._tried("photos", lambda: table.photos(run_page.products_shown(figures)), {})

    def _previous(self) -> Location | None:
        """Return the place of the table that was published before this run's, if another model scored it."""
        before = snapshot.current(self.config.output.path)
        if before and self.outcome:  # the first one is the run's own
            before = snapshot.numbered(self.config.output.path, before.number - 1) if before.number > 1 else None
        if before is None or before.model_version == self.report.metrics.get("model_version"):
            return None
        return paths.snapshot_dir(self.config.output.path, before.snapshot_id)

    def _tried(self, what: str, make: Callable[[], Made], otherwise: Made) -> Made:
        try:
            return make()
        except Exception as error:
            logger.warning("not on the page of the run: %s (%s)", what, errors.one_line(error))
            self.missing.append(f"{what} ({errors.one_line(error)[:200]})")
            return otherwise

    def _number(self) -> int | None:
        commit = self._tried("the current snapshot", lambda: snapshot.current(self.config.output.path), None)
        return commit.number if commit else None

    def _table(self) -> Location | None:
        """Return the place of the page's table: the published one, or the refused one."""
        if self.outcome:
            return paths.snapshot_dir(self.config.output.path, PurePath(self.outcome.data_dir).name)
        kept = refused.table_of(self.config.output.path, self.run_id)
        return kept[0] if kept else None

    def _gates(self) -> dict[str, str]:
        kept = None if self.outcome else refused.table_of(self.config.output.path, self.run_id)
        return kept[1] if kept else {}

    def _acceptance(self) -> list[Acceptance]:
        found: dict[str, list[int]] = {}
        for entry in self.report.metrics.get("overrides", []):
            counts = found.setdefault(str(entry["model_category"] or "no category"), [0, 0])
            counts[0] += entry["decided"]
            counts[1] += entry["agreed"]
        ordered = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))
        return [Acceptance(name, decided, agreed) for name, (decided, agreed) in ordered]

    def _categories(self, least_sure: dict[str, list[Unsure]]) -> list[Category]:
        metrics = self.report.metrics
        now, before = metrics.get("categories") or {}, metrics.get("previous_categories") or {}
        rows, rows_before = metrics.get("rows") or 0, metrics.get("previous_rows")
        found = []
        for name in sorted({*now, *before}, key=lambda name: (-now.get(name, 0), name)):
            share = now.get(name, 0) / max(rows, 1)
            shift = share - before.get(name, 0) / rows_before if rows_before else None
            found.append(Category(name, now.get(name, 0), share, shift, tuple(least_sure.get(name, ()))))
        return found

    def _cost(self) -> Cost:
        metrics, counts = self.report.metrics, self.report.outcome.get("counts", {})
        start = run_page.started(self.run_id)
        total = max(0.0, time.time() - start.timestamp()) if start else 0.0
        steps: dict[str, float] = {**metrics.get("seconds", {})}
        cores = None
        if int(self.report.outcome.get("exit_code", 1)) in (0, 3):
            cores = self.spark.sparkContext.defaultParallelism
        if steps:
            steps["start, reports and publishing"] = max(0.0, total - sum(steps.values()))
        # Without rows that share a result, and without results of an interrupted run.
        scored = counts.get("scored", 0) - counts.get("duplicates", 0) - counts.get("staged", 0)
        price = self.config.pages.core_hour_price
        money = total / 3600 * cores * price / scored * 1e6 if scored > 0 and cores and price is not None else None
        slow = max(steps, key=lambda name: steps[name]) if steps else None
        return Cost(
            seconds=steps,
            total_seconds=total,
            bottleneck=run_words.BOTTLENECKS.get(slow, slow) if slow else None,
            cores=cores,
            rows_per_second=scored / steps["score"] if scored > 0 and steps.get("score") else None,
            requests=metrics.get("requests") or {},
            per_million_rows=money,
        )
