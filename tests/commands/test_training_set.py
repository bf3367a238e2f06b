"""training.data.training_set: every labelled product once, in the split of its group, with no null for petastorm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import CatalogError, InputError
from training.data import dataset, split, training_set
from training.data.dataset import TRAINING_SET

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "product_id string, title string, description string, image binary, category string"


def _catalog(spark: SparkSession) -> DataFrame:
    # Three products share a title and two a photo, so 0 to 3 are one group.
    titles = ["Red shirt", "red  SHIRT", "Red Shirt", "Other", *(f"Title {number}" for number in range(26))]
    photos = [b"a", b"b", b"c", b"a", *(f"photo {number}".encode() for number in range(26))]
    rows = [(f"{n:03d}", titles[n], None, photos[n], "Shirts" if n % 2 else "Shoes") for n in range(30)]
    return spark.createDataFrame([*rows, ("900", None, " ", None, "Shirts")], COLUMNS)


def test_every_product_has_one_split_and_groups_stay_together(spark: SparkSession) -> None:
    rows = training_set.with_split(_catalog(spark)).toPandas().set_index("product_id")
    assert len(rows) == 31
    assert set(rows["split"]) == set(split.SPLITS)
    assert rows.loc[["000", "001", "002", "003"], "split"].nunique() == 1


def test_absent_texts_and_photos_become_empty_ones(spark: SparkSession) -> None:
    rows = training_set.as_training_set(_catalog(spark)).toPandas().set_index("product_id")
    assert [rows.index.name, *rows.columns] == TRAINING_SET.names
    assert (rows.loc["900", "text"], bytes(rows.loc["900", "image"])) == ("", b"")
    assert rows.loc["001", "text"] == "red  SHIRT"
    assert rows.notna().all(axis=None)


def test_the_folders_hold_what_training_reads(spark: SparkSession, tmp_path: Path) -> None:
    counts, rare = training_set.write(_catalog(spark), tmp_path / "set")
    assert not rare
    assert sum(counts.values()) == 31
    for name, count in counts.items():
        assert dataset.count(tmp_path / "set" / name) == count
        assert pq.read_table(tmp_path / "set" / name)["category"].null_count == 0


def test_rare_categories_are_left_out_and_named_and_the_split_stays(spark: SparkSession, tmp_path: Path) -> None:
    hats = spark.createDataFrame([("h1", "A hat", None, b"h1", "Hats"), ("h2", "Hat", None, b"h2", "Hats")], COLUMNS)
    catalog = _catalog(spark).unionByName(hats)
    _, rare = training_set.write(catalog, tmp_path / "without", min_products=3)
    training_set.write(_catalog(spark), tmp_path / "never", min_products=3)
    assert rare == {"Hats": 2}
    for name in split.SPLITS:
        left, right = (pq.read_table(tmp_path / folder / name).to_pydict() for folder in ("without", "never"))
        assert sorted(left["product_id"]) == sorted(right["product_id"])


def test_a_repeated_id_is_named(spark: SparkSession) -> None:
    doubled = _catalog(spark).unionByName(_catalog(spark).where("product_id = '007'"))
    with pytest.raises(CatalogError, match="Expected every product_id once. Received: 007"):
        training_set.with_split(doubled)


def test_a_catalog_without_labels_or_photos_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="Expected a labelled catalog, .* Received: one without category, image"):
        training_set.write(_catalog(spark).drop("category", "image"), tmp_path / "set")


def test_nothing_is_written_over(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected a new directory for --output. Received: .*, which exists"):
        training_set.write(_catalog(spark), tmp_path)
