"""Counts and speed of a run that planned twice, and what `--plan` prints of the next one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.commands import tag
from fashion_udf.config import JobConfig
from fashion_udf.pipeline import reports, tagging
from tests import small_bundle
from tests.submit import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _catalog(folder: Path, **titles: str) -> str:
    folder.mkdir()
    pq.write_table(pa.table({"product_id": [*titles], "title": [*titles.values()]}), folder / "part.parquet")
    return str(folder)


def _config(path: str, output: Path) -> JobConfig:
    tree = {
        "input": {"path": path, "columns": {"image": None}},
        "output": {"path": str(output)},
        "bundle": str(small_bundle.directory()),
        "gates": {"max_row_drop": 1},
    }
    return config.validate(JobConfig, tree, "a night")


def test_a_run_that_planned_twice_counts_its_rows_once_and_its_speed_is_that_of_all_it_scored(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reports, "MIN_ROWS_FOR_SPEED", 1)
    catalog = _catalog(tmp_path / "in", a="Red shirt", b="Blue hat", twin="Blue hat")
    other = _config(_catalog(tmp_path / "other", z="Green bag"), tmp_path / "out")
    whole = tagging._assemble

    def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(tagging, "_assemble", whole)
        tagging.tag(spark, other)
        return whole(*given)

    monkeypatch.setattr(tagging, "_assemble", overtaken)
    outcome = tagging.tag(spark, _config(catalog, tmp_path / "out"))
    counts = outcome.counts
    assert (outcome.number, counts.accepted, counts.scored, counts.removed) == (2, 3, 3, 1)
    assert (counts.staged, counts.duplicates) == (0, 1), "no other run has scored them; twins share a result"
    metrics = json.loads((tmp_path / "out" / "runs" / outcome.run_id / "metrics.json").read_text())
    cores = spark.sparkContext.defaultParallelism
    assert metrics["rows_per_core_second"] == pytest.approx(2 / (metrics["seconds"]["score"] * cores))

    # Newer runs come first, and the other one is newer.
    (
        tmp_path / "out" / "runs" / max(run.name for run in (tmp_path / "out" / "runs").iterdir()) / "metrics.json"
    ).unlink()
    words = {"input.path": _catalog(tmp_path / "next", a="Red shirt", new="Watch"), "output.path": tmp_path / "out"}
    words |= {"bundle": small_bundle.directory(), "input.columns.image": "null"}
    arguments = [argument for key, value in words.items() for argument in ("--set", f"{key}={value}")]
    tag.main(["--config", str(REPOSITORY / "conf" / "nightly.yaml"), "--plan", *arguments])
    rows, cost = capsys.readouterr().out.split("cost ")
    assert "table_rows" in rows and "seconds" not in rows and "bytes" not in rows
    lines = {line.split()[0]: line.split()[1:] for line in cost.splitlines()[2:]}
    seconds = 1 / metrics["rows_per_core_second"]
    assert lines["scoring"] == [str(round(seconds / cores)), "seconds"]
    assert lines["core_time"] == [str(round(seconds)), "core", "seconds"]
    assert lines["table"][1:] == ["bytes"] and int(lines["table"][0]) > 1000
