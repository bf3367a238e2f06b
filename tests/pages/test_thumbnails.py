"""Small photos of a page, also where Spark alone reads them: of few files, for a bounded time; titles in any case."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog import columns
from fashion_udf.config import JobConfig
from fashion_udf.pages import products, thumbnails
from fashion_udf.pages.run_page import Product
from tests.pages.queues import photo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RUN = "20261127T020000000000Z-00000000"


def _shown(spark: SparkSession, folder: Path, form: str = "parquet") -> dict[str, Product]:
    tree = {"input": {"path": str(folder / "catalog"), "format": form}, "output": {"path": str(folder / "out")}}
    config = JobConfig.model_validate(tree)
    catalog = columns.read(spark, config.input)
    assert catalog.photos is None, "Spark alone reads these photos"
    waiting = spark.createDataFrame([("b",)], "product_id string")
    known = products.write(catalog, waiting, config.output.path, RUN)
    return thumbnails.read(spark, config, catalog, known, ["b", "a", "gone"])


@pytest.fixture
def in_folders(tmp_path: Path) -> Path:
    """A catalog whose titles are names of folders, so that Python cannot read its files alone."""
    for name, title in (("a", "Hat"), ("b", "Shoe")):
        place = tmp_path / "catalog" / f"title={title}"
        place.mkdir(parents=True)
        pq.write_table(pa.table({"product_id": [name], "image": [photo("red")]}), place / f"{name}.parquet")
    return tmp_path


def _told(shown: dict[str, Product]) -> list[tuple[str, str | None, bool]]:
    return [(name, product.title, product.photo is not None) for name, product in shown.items()]


def test_photos_that_spark_alone_reads_are_shown_with_their_titles(spark: SparkSession, in_folders: Path) -> None:
    shown = _shown(spark, in_folders)
    assert _told(shown) == [("b", "Shoe", True), ("a", "Hat", True)]
    assert (shown["a"].photo or b"")[:3] == b"\xff\xd8\xff"


def test_only_the_first_files_are_read_for_photos(
    spark: SparkSession, in_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MOST_BYTES", (in_folders / "catalog/title=Shoe/b.parquet").stat().st_size + 1)
    assert _told(_shown(spark, in_folders)) == [("b", "Shoe", True), ("a", "Hat", False)]


def test_photos_in_text_files_are_shown_if_all_files_are_small(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalog").mkdir()
    text = base64.b64encode(photo("red")).decode()
    rows = pa.table({"product_id": ["a", "b"], "title": ["Hat", "Shoe"], "image": [text, text]})
    pyarrow.csv.write_csv(rows, tmp_path / "catalog" / "all.csv")
    assert _told(_shown(spark, tmp_path, "csv")) == [("b", "Shoe", True), ("a", "Hat", True)]
    monkeypatch.setattr(thumbnails, "MOST_FILES", 0)
    (tmp_path / "out").rename(tmp_path / "before")
    assert _told(_shown(spark, tmp_path, "csv")) == [("b", "Shoe", False), ("a", "Hat", False)]


def test_after_its_time_a_task_reads_no_further_photo(
    spark: SparkSession, in_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "SECONDS", 0.0)
    assert _told(_shown(spark, in_folders)) == [("b", "Shoe", False), ("a", "Hat", False)]
