"""The split: groups never straddle, shares hold per category, and the assignment is pinned for ever."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from training.data import split

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["Red shirt", "red  SHIRT", "Blue shirt", "Hat", None, ""]),
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from(["Shirts", "Hats"]),
    ),
    min_size=1,
    max_size=40,
)


def _products(rows: list[tuple[str | None, str | None, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["title", "image_sha256", "category"], dtype=object)
    frame.insert(0, "product_id", [f"{number:03d}" for number in range(len(rows))])
    return frame


@given(ROWS)
def test_products_that_share_a_photo_or_a_title_never_straddle_splits(
    rows: list[tuple[str | None, str | None, str]],
) -> None:
    products = _products(rows)
    products["split"] = split.assign(products)
    products["title"] = [split.normalised_title(title) for title in products["title"]]
    for key in ("title", "image_sha256"):
        shared = products[products[key].notna()].groupby(key)["split"].nunique()
        assert (shared <= 1).all()


@given(ROWS, st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[str | None, str | None, str]], random: object) -> None:
    products = _products(rows)
    shuffled = products.sample(frac=1, random_state=3)
    assert split.assign(products).equals(split.assign(shuffled).sort_index())


def test_each_category_is_cut_at_80_and_90_percent() -> None:
    products = _products([(f"title {number}", None, "Shirts") for number in range(200)])
    assert split.assign(products).value_counts().to_dict() == {"train": 160, "validation": 20, "test": 20}


def test_a_category_with_one_product_is_trained_on() -> None:
    assert split.assign(_products([("only one", None, "Hats")])).tolist() == ["train"]


def test_titles_are_compared_without_case_width_and_spacing() -> None:
    assert split.normalised_title("  Ｎike   Women\tTee ") == "nike women tee"
    assert split.normalised_title("  ") is None


def test_the_assignment_of_known_ids_is_pinned() -> None:
    products = _products([(f"title {number}", None, "Shirts") for number in range(50)])
    assert split.digest(products["product_id"].tolist(), split.assign(products).tolist()) == (
        "72a033bff15d26f52dedeba19e90985d85fb631c456d7f164d2a4406be7571bb"
    )


def test_the_split_of_the_public_catalog_is_pinned(shared_data: Path) -> None:
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
    splits = split.assign(products)
    assert splits.value_counts().to_dict() == {"train": 6204, "validation": 772, "test": 711}
    assert split.digest(products["product_id"].tolist(), splits.tolist()) == (
        "502b4b9278609a61063b1983076e39cb2fef03a65105ef01be79affde7454d2d"
    )
