"""The split: groups never straddle, shares hold per category, and the assignment is pinned for ever."""

from __future__ import annotations

import csv
import hashlib
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tests import python_split
from training.data import split

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = "product_id string, normalised_title string, category string, image_sha256 string"
Row = tuple[str | None, str | None, str]  # title, photo, category


def _products(rows: list[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["title", "image_sha256", "category"], dtype=object)
    frame.insert(0, "product_id", [f"{number:03d}" for number in range(len(rows))])
    return frame


def _assigned(spark: SparkSession, products: pd.DataFrame) -> list[str]:
    """Return the split of each product, in their order."""
    rows = [
        (row["product_id"], split.normalised_title(row["title"]), row["category"], row["image_sha256"])
        for row in products.to_dict("records")
    ]
    found = split.assign(spark.createDataFrame(rows, COLUMNS)).collect()
    assert len(found) == len(products)
    splits = {row["product_id"]: row["split"] for row in found}
    return [splits[name] for name in products["product_id"]]


def _drawn(draws: random.Random, count: int) -> list[Row]:
    """Draw products of which a few share a title, a photo or both, as few or as many as chance makes."""
    titles, photos = draws.randint(1, 2 * count), draws.randint(1, 2 * count)
    spaces = ("Title {}", "title  {}", " TITLE {} ")
    return [
        (
            draws.choice(spaces).format(draws.randrange(titles)) if draws.random() < 0.8 else draws.choice((None, " ")),
            f"photo {draws.randrange(photos)}" if draws.random() < 0.8 else None,
            draws.choice(("Shirts", "Hats", "Ärmel")),
        )
        for _ in range(count)
    ]


def test_any_products_are_split_as_on_one_machine_and_groups_never_straddle(spark: SparkSession) -> None:
    draws = random.Random(5)
    for count in (1, 7, 40, 150):
        products = _products(_drawn(draws, count))
        products["split"] = _assigned(spark, products)
        assert products["split"].tolist() == python_split.assign(products).tolist()
        products["title"] = [split.normalised_title(title) for title in products["title"]]
        for key in ("title", "image_sha256"):
            shared = products[products[key].notna()].groupby(key)["split"].nunique()
            assert (shared <= 1).all()


def test_each_category_is_cut_at_80_and_90_percent(spark: SparkSession) -> None:
    products = _products([(f"title {number}", None, "Shirts") for number in range(200)])
    splits = _assigned(spark, products)
    assert {name: splits.count(name) for name in split.SPLITS} == {"train": 160, "validation": 20, "test": 20}


def test_a_category_with_one_product_is_trained_on(spark: SparkSession) -> None:
    assert _assigned(spark, _products([("only one", None, "Hats")])) == ["train"]


def test_titles_are_compared_without_case_width_and_spacing() -> None:
    assert split.normalised_title("  Ｎike   Women\tTee ") == "nike women tee"
    assert split.normalised_title("  ") is None


def test_the_assignment_of_known_ids_is_pinned(spark: SparkSession) -> None:
    products = _products([(f"title {number}", None, "Shirts") for number in range(50)])
    assert split.digest(products["product_id"].tolist(), _assigned(spark, products)) == (
        "72a033bff15d26f52dedeba19e90985d85fb631c456d7f164d2a4406be7571bb"
    )


def test_the_split_of_the_public_catalog_is_pinned(spark: SparkSession, shared_data: Path) -> None:
    folder = shared_data / "fashion-products"
    with (folder / "data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    products = pd.DataFrame(
        {
            "product_id": [Path(row["image"]).stem for row in rows],
            "title": [row["display name"] for row in rows],
            "category": [row["category"] for row in rows],
            "image_sha256": [hashlib.sha256((folder / "data" / row["image"]).read_bytes()).hexdigest() for row in rows],
        }
    )
    splits = _assigned(spark, products)
    assert {name: splits.count(name) for name in split.SPLITS} == {"train": 6204, "validation": 772, "test": 711}
    assert split.digest(products["product_id"].tolist(), splits) == (
        "502b4b9278609a61063b1983076e39cb2fef03a65105ef01be79affde7454d2d"
    )
