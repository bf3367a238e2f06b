"""Nights with their pages: published, decided on, refused and failed; what the review decides is in the next table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import FashionError, GateRefusedError
from fashion_udf.pages import review_queue, run_report, table_figures, thumbnails
from fashion_udf.pages.review_photos import Photos
from fashion_udf.pages.review_queue import Filters, photo_place
from fashion_udf.pipeline import refused
from fashion_udf.table import paths, snapshot
from tests import small_bundle
from tests.pages import queues

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 40
#: Titles of which the small model is not sure.
WAITING = ("Red Shoes", "Puma Puma", "Jeans Hat")
HOSTILE = "<script>alert(1)</script>"


@dataclasses.dataclass
class Shop:
    """An output, and its catalog."""

    folder: Path

    def write(self, titles: dict[str, str | None], **changes: Any) -> JobConfig:
        """Write the catalog, and return the configuration of a night."""
        folder = self.folder / "catalog"
        folder.mkdir(exist_ok=True)
        photos = [b"no photo" if n == 3 else queues.photo("red" if n % 2 else "blue") for n in range(len(titles))]
        columns = {"product_id": [*titles], "title": [*titles.values()], "image": pa.array(photos, pa.binary())}
        columns["description"] = [" " * 9_000] * len(titles)
        pq.write_table(pa.table(columns), folder / "part.parquet", row_group_size=16)
        tree: dict[str, Any] = {
            "input": {"path": str(folder)},
            "output": {"path": str(self.folder / "out")},
            "bundle": str(small_bundle.directory()),
            "gates": dict.fromkeys(("max_flips", "max_shift", "max_one_category"), 1.0),
            **changes,
        }
        return config.validate(JobConfig, tree, "a night")

    @property
    def reports(self) -> Path:
        """The reports of the newest run."""
        return max((self.folder / "out" / "runs").iterdir())

    def figures(self) -> Any:
        """The figures of the newest run."""
        return json.loads((self.reports / "figures.json").read_text())

    def page(self) -> str:
        """The page of the newest run."""
        return (self.reports / "index.html").read_text(encoding="utf-8")

    def table(self) -> dict[str, Any]:
        """The published rows by id."""
        commit = snapshot.current(str(self.folder / "out"))
        assert commit is not None
        directory = paths.data_dir(str(self.folder / "out"), commit)
        return {row["product_id"]: row for row in ds.dataset(directory, format="parquet").to_table().to_pylist()}


def _titles(*words: str) -> dict[str, str | None]:
    return {f"p{number:03d}": words[number % len(words)] for number in range(ROWS)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An output after its first night."""
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def first(spark: SparkSession, shop: Shop) -> Iterator[Shop]:
    titles = _titles(*WAITING, HOSTILE)
    run_report.tag(spark, shop.write(titles, pages={"core_hour_price": 0.1}))
    yield shop


def test_a_published_night_is_told_with_photos_and_every_figure(first: Shop) -> None:
    figures, page = first.figures(), first.page()
    assert figures["verdict"] == f"Published #1: {ROWS} rows, {ROWS} scored, 0 lost, gates ok"
    assert figures["missing"] == [] and "data:image/jpeg;base64," in page and HOSTILE not in page
    steps = {step["name"]: step for step in figures["funnel"]}
    assert (steps["accepted"]["rows"], steps["failed"]["rows"]) == (ROWS, 1)
    assert [(one["status"], one["examples"]) for one in figures["failures"]] == [("image_unsupported", ["p003"])]
    assert sum(figures["histogram"]) == ROWS and sum(one["rows"] for one in figures["categories"]) == ROWS
    assert figures["cost"]["per_million_rows"] > 0 and figures["inputs"]["precision used"] == "f32"
    assert "fashion_udf_run_exit_code 0\n" in (first.reports / "metrics.prom").read_text()
    assert f"runs/{first.reports.name}/index.html" in (first.folder / "out" / "index.html").read_text()


def test_the_queries_of_the_page_list_as_many_rows_as_it_says(first: Shop) -> None:
    duckdb = pytest.importorskip("duckdb")
    asked = {step["name"]: step for step in first.figures()["funnel"] if step["query"]}
    assert {"input", "accepted", "carried over", "scored", "failed", "looked at and unchanged"} <= {*asked}
    for name, step in asked.items():
        query = step["query"].replace(str(first.folder / "catalog") + "'", str(first.folder / "catalog" / "*") + "'")
        assert len(duckdb.sql(query).fetchall()) == step["rows"], name


def test_the_queue_holds_what_waits_with_text_and_photo_and_what_each_says_alone(first: Shop) -> None:
    queue = review_queue.read(str(first.folder / "out"))
    waits = {name for name, row in first.table().items() if row["decision"] != "auto"}
    assert {*queue.place} == waits and waits
    rows = [queue.row(index) for index in range(len(queue))]
    assert [row["worth"] for row in rows] == sorted((row["worth"] for row in rows), reverse=True)
    assert {len(row["description"]) for row in rows} == {4_000}
    both = [row for row in rows if row["modality"] == "both"]
    assert all(row["image_alone"] and row["text_alone"] and row["alike"] >= 1 for row in both) and both
    counted = {one: sum(row["suspect"] == one for row in rows) for one in ("photo", "text")}
    assert first.figures()["suspect_rows"] == {one: count for one, count in counted.items() if count}
    photos = Photos(queue.reading)
    assert (photos.jpeg(photo_place(queue.rows, queue.place[both[0]["product_id"]]), 160) or b"")[:3] == b"\xff\xd8\xff"
    photos.close()


def test_decisions_of_the_review_are_in_the_next_table_and_a_row_of_overrides_path_wins(
    first: Shop, spark: SparkSession
) -> None:
    ann, bob = queues.review(first.folder / "out", "ann"), queues.review(first.folder / "out", "bob")
    chosen = [ann.queue.row(row)["product_id"] for row in ann.next(Filters(), 6)]
    for product_id in chosen:
        ann.decide([(product_id, "Shoes")])
    bob.refresh()
    bob.decide([(chosen[0], "Dresses")])  # the newest counts
    ann.undo()  # of the sixth
    pq.write_table(pa.table({"product_id": [chosen[1]], "category": ["Shirts"]}), first.folder / "said.parquet")
    night = first.write(
        _titles(*WAITING, HOSTILE),
        overrides={"path": str(first.folder / "said.parquet")},
    )
    run_report.tag(spark, night)
    table = first.table()
    decided = {name: row["category"] for name, row in table.items() if row["category_source"] == "override"}
    assert decided == {chosen[0]: "Dresses", chosen[1]: "Shirts"} | dict.fromkeys(chosen[2:5], "Shoes")
    files = [path.name for path in (first.folder / "out" / "overrides").glob("*.json")]
    assert len(files) == 1 and files[0].startswith("part-")
    figures = first.figures()
    assert sum(one["decided"] for one in figures["acceptance"]) == 5
    assert all({*pair["causes"]} == {"override"} for pair in figures["pairs"])
    assert {difference["key"] for difference in figures["differences"]} == {
        "config.overrides.path",
        "config.pages.core_hour_price",
    }
    assert {*review_queue.read(str(first.folder / "out")).place} & {*decided} == set()
    run_report.tag(spark, night)
    assert first.figures()["verdict"].startswith("Nothing to publish: #2 stays")


def test_a_refused_night_says_by_what_and_how_to_go_on(first: Shop, spark: SparkSession) -> None:
    night = first.write(_titles("Shirt Shirt", "Red Red"), gates={"max_flips": 0.0, "max_shift": 1.0})
    with pytest.raises(GateRefusedError):
        run_report.tag(spark, night)
    figures, page = first.figures(), first.page()
    assert figures["verdict"].startswith("Refused by flips") and figures["verdict"].endswith("#2 stays published")
    assert f"--run {first.reports.name} --accept flips" in figures["remedy"]["text"]
    assert figures["changed"] > 0 and "gates.max_flips" in page and figures["missing"] == []
    output, refused_run = str(first.folder / "out"), first.reports.name
    assert review_queue.read(output).run_id < refused_run, "the queue is that of the published table"
    refused.publish(output, refused_run, ["flips"])
    queue = review_queue.read(output)
    waits = {
        name for name, row in first.table().items() if "auto" != row["decision"] and row["category_source"] == "model"
    }
    assert queue.run_id == refused_run and {*queue.place} == waits


def test_a_failed_night_has_a_page_with_the_whole_error(first: Shop, spark: SparkSession) -> None:
    with pytest.raises(FashionError) as caught:
        run_report.tag(spark, first.write(_titles("Hat"), bundle=str(first.folder / "nowhere")))
    assert (
        first.figures()["verdict"] == "The input or the configuration cannot be used (exit code 2); #3 stays published"
    )
    assert first.figures()["message"] == str(caught.value)


def test_a_page_that_cannot_be_made_fails_no_night(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr(table_figures, "histogram", broken)
    monkeypatch.setattr(thumbnails, "read", broken)
    night = shop.write({"a": "Red Shirt", "b": None})
    outcome = run_report.tag(spark, night)
    assert outcome.published and "confidences (RuntimeError: no space left)" in shop.figures()["missing"]
    monkeypatch.setattr(run_report.run_page, "render", broken)
    run_report.write(spark, night, outcome.run_id, outcome)
    assert f"the page of run {outcome.run_id} was not written: RuntimeError: no space left" in caplog.text
