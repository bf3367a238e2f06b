"""A run's inputs and its plan on the current snapshot: what the next table has, and when there is nothing to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import BundleError, CatalogError, EnvironmentUnsupportedError, SnapshotError
from fashion_udf.photos.photo import Remote
from fashion_udf.pipeline import overriding, planning, staging
from fashion_udf.pipeline.comparison import PlanCounts, Scope
from fashion_udf.pipeline.fingerprint import Versions
from fashion_udf.pipeline.planning import Planned, Run
from fashion_udf.schema import RESULT, TAGS
from fashion_udf.scoring.scorer import Settings
from fashion_udf.spark import memory
from fashion_udf.table import data_files, paths
from tests import small_bundle
from tests.tables import at, head, publish_staged
from tests.tag_rows import results, tags

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _config(folder: Path, **changes: Any) -> JobConfig:
    tree = {
        "input": {"path": str(folder / "catalog")},
        "output": {"path": str(folder / "out")},
        "bundle": str(small_bundle.directory()),
    }
    return config.validate(JobConfig, {**tree, **changes}, "test")


def _catalog(folder: Path, *names: str | None) -> None:
    (folder / "catalog").mkdir(exist_ok=True)
    photos = pa.nulls(len(names), pa.binary())
    ids = pa.array(names, pa.string())
    table = pa.table({"product_id": ids, "title": ["Red shirt"] * len(names), "image": photos})
    pq.write_table(table, folder / "catalog" / "part.parquet")


def _publish(spark: SparkSession, folder: Path, **fingerprints: str) -> None:
    staged = folder / "out" / "staging" / "p1"
    tags(spark, *({"product_id": name, "fingerprint": value} for name, value in fingerprints.items())).write.parquet(
        str(staged)
    )
    publish_staged(folder / "out", staged, paths.new_run_id(), "v1", expected_rows=len(fingerprints), parent=None)


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


@pytest.fixture
def parent(tmp_path: Path) -> Any:
    """A commit of one row."""
    from tests.tables import publish

    return publish(tmp_path, ["a"])


def _planned(parent: Any, **counts: Any) -> Planned:
    nothing: Any = None
    return Planned(parent, nothing, nothing, nothing, nothing, PlanCounts(**counts))


def test_the_next_table_has_the_published_rows_and_the_new_ones_without_those_gone(parent: Any) -> None:
    assert _planned(parent, removed=1, reasons={"new": 5, "text": 3}).table_rows == 5
    assert _planned(parent).table_rows == 1
    assert _planned(None, reasons={"new": 5}).table_rows == 5


def test_there_is_nothing_to_do_only_where_nothing_would_change_and_a_table_is_published(
    parent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overriding, "override_changes", lambda *_: 0)
    assert _planned(parent, accepted=1, carried=1).changes_nothing
    assert not _planned(None).changes_nothing, "the first table is published, even an empty one"
    assert not _planned(parent, to_score=1).changes_nothing
    assert not _planned(parent, staged=1).changes_nothing
    assert not _planned(parent, removed=1).changes_nothing
    monkeypatch.setattr(overriding, "override_changes", lambda *_: 1)
    assert not _planned(parent, accepted=1, carried=1).changes_nothing


def test_a_run_starts_with_the_accepted_rows_in_its_scope_and_writes_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    _catalog(tmp_path, "a", "b", "twice", "twice", None)
    before = _files(tmp_path)
    tree = {"path": str(tmp_path / "catalog"), "max_rejected": 3}
    selected = spark.createDataFrame([("a",), ("twice",), ("unknown",)], "product_id string")
    run = planning.start(spark, _config(tmp_path, input=tree), Scope(selected=selected), "r1")
    assert [row["product_id"] for row in run.rows.collect()] == ["a"]
    assert run.rejected_rows == 3
    root = f"file://{tmp_path}/out"
    assert (run.staging.uri, run.directory.uri) == (f"{root}/staging/r1", f"{root}/runs/r1")
    assert _files(tmp_path) == before
    with pytest.raises(CatalogError, match="Received: 3 rows with such ids"):
        planning.start(spark, _config(tmp_path), Scope(), "r1")
    with pytest.raises(BundleError, match="Received: "):
        planning.start(spark, _config(tmp_path, bundle=str(tmp_path / "nowhere")), Scope(), "r1")


def test_the_fingerprints_of_a_run_hold_what_changes_its_results(spark: SparkSession, tmp_path: Path) -> None:
    _catalog(tmp_path, "a")
    model = small_bundle.read()
    limits = {"max_image_bytes": 7, "max_image_pixels": 8}
    run = planning.start(spark, _config(tmp_path, limits=limits, top_k=2), Scope(), "r1")
    assert run.versions == Versions(model.model_version, "openvino", "f32", 2, 7, 8)
    many = planning.start(spark, _config(tmp_path, top_k=50), Scope(), "r1")
    assert many.versions.top_k == len(model.labels), "more categories than there are change nothing"


def _run(spark: SparkSession, folder: Path, scope: Scope, **rows: str) -> Run:
    frame = spark.createDataFrame(
        [(name, value, "f", None, False, True, False, 0, None, False) for name, value in rows.items()],
        "product_id string, fingerprint string, file string, row long, has_photo boolean, has_text boolean, "
        "damaged_text boolean, further_photos int, photo_bytes long, by_url boolean",
    )
    if scope.selected is not None:  # as `start` does
        frame = frame.join(scope.selected, on="product_id", how="left_semi")
    nothing: Any = None
    return Run(spark, _config(folder), scope, "r1", small_bundle.read(), nothing, nothing, frame, nothing, 0)


def test_the_engine_and_the_limits_of_the_configuration_are_what_a_run_scores_with(
    spark: SparkSession, tmp_path: Path
) -> None:
    engine = {"batch_size": 3, "precision": "f32"}
    limits = {"max_image_bytes": 5, "max_image_pixels": 6, "fetch_threads": 7}
    run = _run(spark, tmp_path, Scope())
    source = spark.createDataFrame([], "product_id string, image_uri string")
    run = replace(run, source=source, config=_config(tmp_path, engine=engine, limits=limits, top_k=2))
    settings = run.settings(with_photos=True)
    assert settings == Settings("openvino", "f32", 3, 2, "uri", (), 5, 6, 7, Remote(requests_per_second=250))
    assert run.settings(with_photos=False) == replace(settings, photo="none")


def test_the_first_plan_has_no_table_before_it(spark: SparkSession, tmp_path: Path) -> None:
    planned = planning.on_current(_run(spark, tmp_path, Scope(), a="fa"), at(tmp_path / "plan-0"))
    assert planned.parent is None
    held = {"rows_with_photo": 0, "rows_with_text": 1, "texts_not_utf8": 0, "rows_with_more_photos": 0}
    assert planned.counts == PlanCounts(accepted=1, to_score=1, files={"f": 1}, reasons={"new": 1}, catalog=held)
    assert (planned.table_rows, planned.changes_nothing) == (1, False)
    assert planned.previous.schema.names == TAGS.names
    assert pq.read_table(tmp_path / "plan-0").to_pydict()["product_id"] == ["a"], "the plan is kept"


def test_a_plan_carries_resumes_and_drops_and_without_a_target_writes_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    _publish(spark, tmp_path, same="fs", gone="fg", changed="old", again="old")
    directory = tmp_path / "out" / "staging" / "r0"
    (directory / "alive").parent.mkdir(parents=True)
    (directory / "alive").touch()
    row = {"planned_fingerprint": "before", "fingerprint": "fn", "run_id": "r0"}
    results(spark, row).write.parquet(str(directory / "written"))
    place = paths.staging_dir(str(tmp_path / "out"), "r0")
    staging.commit_chunk(place, "written", 0, data_files.described(place / "written"))
    before = _files(tmp_path)
    rows = {"same": "fs", "changed": "fc", "staged": "fn", "again": "old"}
    planned = planning.on_current(_run(spark, tmp_path, Scope(), **rows), None)
    assert _files(tmp_path) == before
    assert planned.parent == head(tmp_path / "out")
    assert (planned.counts.carried, planned.counts.staged, planned.counts.removed) == (2, 1, 1)
    assert (planned.counts.to_score, planned.table_rows) == (1, 4)
    assert [row["product_id"] for row in planned.removed.collect()] == ["gone"]
    # A backfill leaves to the nightly run what it is not about.
    selected = spark.createDataFrame([("changed",), ("gone",)], "product_id string")
    planned = planning.on_current(_run(spark, tmp_path, Scope(selected), **rows), None)
    assert (planned.counts.accepted, planned.counts.to_score, planned.counts.removed) == (1, 1, 0)
    assert planned.table_rows == 4 and planned.removed.isEmpty()
    # A run that was told to score again does not take what another one has scored.
    assert planning.results(_run(spark, tmp_path, Scope(forced=True))).isEmpty()
    assert planning.results(_run(spark, tmp_path, Scope(retry_failed=True))).isEmpty()


def test_rows_of_a_damaged_table_are_not_planned_on(spark: SparkSession, tmp_path: Path) -> None:
    _publish(spark, tmp_path, a="fa")
    (file,) = paths.data_dir(str(tmp_path / "out"), head(tmp_path / "out")).iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SnapshotError, match="as commit 1 describes it"):
        planning.on_current(_run(spark, tmp_path, Scope(), a="fa"), None)


def test_files_of_an_older_release_are_read_with_nulls(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "old, 100% é #1.parquet"
    pq.write_table(pa.table({"product_id": ["a"], "category": ["Tops"], "dropped": [1]}), path)
    (row,) = planning.read(spark, [at(path)], TAGS).collect()
    assert (row["product_id"], row["category"], row["embedding"]) == ("a", "Tops", None)
    assert planning.read(spark, [], RESULT).columns == RESULT.names


def test_row_groups_that_spark_reads_and_cannot_hold_are_refused_before_the_night(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalog").mkdir()
    table = pa.table({"product_id": ["a"], "title": ["Red shirt"], "image": [b"photo" * 100]})
    pq.write_table(table, tmp_path / "catalog" / "part.parquet")
    table_of_spark = {"path": f"parquet.`{tmp_path / 'catalog'}`", "format": "table"}
    planning.start(spark, _config(tmp_path, input=table_of_spark), Scope(), "r1")
    monkeypatch.setattr(memory, "BESIDES", 10**12)
    with pytest.raises(EnvironmentUnsupportedError, match=r"^Expected a Java heap of 1000\.0 GB: .* Set spark\.driver"):
        planning.start(spark, _config(tmp_path, input=table_of_spark), Scope(), "r1")
    assert planning.start(spark, _config(tmp_path), Scope(), "r1").photos is not None, "workers read it, row by row"
