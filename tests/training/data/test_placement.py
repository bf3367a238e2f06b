"""Placement: nothing of validation and test is trained on, and kinds that are judged were never trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.errors import CatalogError
from training.data import placement, split
from training.data.catalogs import title_without_colours
from training.data.held_out import is_held_out
from training.data.placement import BEYOND, SAME_TITLE, SEEN_KIND, SEEN_PRODUCT, Options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "product_id string, category string, normalised_title string, colourless_title string, image_sha256 string"
TRAINED, HELD_OUT = "Lipstick", "Ring"
#: A hundred products with photos: by the fixed split, 80 are trained on.
PHOTOGRAPHED = [(f"{number:03d}", "Hats", f"hat {number}", f"sha {number}") for number in range(100)]
Row = tuple[str, str, str | None, str | None]


def _frame(spark: SparkSession, rows: list[Row]) -> DataFrame:
    full = [(name, label, title, title_without_colours(title), photo) for name, label, title, photo in rows]
    return spark.createDataFrame(full, COLUMNS)


def _placed(spark: SparkSession, rows: list[Row], **options: Any) -> dict[str, Any]:
    chosen = Options(other=[TRAINED, HELD_OUT] if rows is not PHOTOGRAPHED else [], **options)
    frame = _frame(spark, rows)
    found = placement.place(frame, placement.kinds(frame, chosen), chosen).collect()
    assert len({row["product_id"] for row in found}) == len(found) == len(rows)
    return {row["product_id"]: row for row in found}


@pytest.fixture(scope="module")
def base(spark: SparkSession) -> dict[str, str]:
    """The fixed split of `PHOTOGRAPHED`."""
    return {name: row["split"] for name, row in _placed(spark, PHOTOGRAPHED).items()}


@pytest.fixture(scope="module")
def placed(spark: SparkSession, base: dict[str, str]) -> dict[str, Any]:
    in_train = next(name for name, part in base.items() if part == split.TRAIN)
    judged = next(name for name, part in base.items() if part == split.TEST)
    titles = {name: title for name, _, title, _ in PHOTOGRAPHED}
    rows: list[Row] = [
        *PHOTOGRAPHED,
        ("new title", "Hats", "a new hat", None),
        ("no title", "Hats", None, None),
        ("title of test", "Hats", titles[judged], None),
        ("title of test in red", "Hats", f"red {titles[judged]}", None),
        ("title of train", "Hats", titles[in_train], None),
        ("lipstick of test", TRAINED, titles[judged], None),
        *((f"lipstick {number}", TRAINED, f"lipstick {number}", None) for number in range(3)),
        *((f"ring {number}", HELD_OUT, f"ring {number}", None) for number in range(40)),
        ("hat of a ring", "Hats", "golden ring 7", None),
        ("ring of train", HELD_OUT, titles[in_train], None),
        *((f"seen lipstick {number}", TRAINED, f"seen lipstick {number}", f"l {number}") for number in range(20)),
        *((f"seen ring {number}", HELD_OUT, f"seen ring {number}", f"r {number}") for number in range(20)),
        ("ring on a photo of train", HELD_OUT, "a very new ring", f"sha {int(in_train)}"),
    ]
    return _placed(spark, rows)


def test_the_names_used_here_are_of_either_kind() -> None:
    assert not is_held_out(TRAINED) and is_held_out(HELD_OUT)


def test_other_rows_leave_the_fixed_split_of_products_with_photos_alone(
    base: dict[str, str], placed: dict[str, Any]
) -> None:
    assert sorted(base.values()).count("train") == 80
    assert {name: placed[name]["split"] for name in base} == base
    assert not any(placed[name]["left_out"] for name in base)


def test_products_without_a_photo_are_trained_on_unless_their_title_is_judged_with(placed: dict[str, Any]) -> None:
    for name in ("new title", "no title", "title of train"):
        assert (placed[name]["split"], placed[name]["label"], placed[name]["left_out"]) == ("train", "Hats", None)
    for name in ("title of test", "title of test in red", "lipstick of test", "hat of a ring"):
        assert placed[name]["left_out"] == SAME_TITLE


def test_a_kind_is_trained_on_or_judged_with_and_never_both(placed: dict[str, Any]) -> None:
    others = [row for row in placed.values() if row["label"] == "other" and row["left_out"] is None]
    assert {row["split"] for row in others if row["category"] == TRAINED} == {"train"}
    judged = [row["split"] for row in others if row["category"] == HELD_OUT]
    assert set(judged) == {"validation", "test"}
    assert 0.25 < judged.count("test") / len(judged) < 0.75


def test_rows_that_would_break_this_are_left_out(placed: dict[str, Any]) -> None:
    seen = [row for name, row in placed.items() if name.startswith("seen lipstick")]
    assert {row["left_out"] for row in seen} == {None, SEEN_KIND}
    assert sum(row["left_out"] is None for row in seen) == 16
    assert placed["ring of train"]["left_out"] == SEEN_PRODUCT
    assert placed["ring on a photo of train"]["left_out"] == SEEN_PRODUCT
    assert not any(row["left_out"] for name, row in placed.items() if name.startswith("seen ring"))


def test_a_catalog_of_texts_is_split_only_if_asked_to(spark: SparkSession) -> None:
    rows: list[Row] = [(f"{number:03d}", "Hats", f"hat {number}", None) for number in range(50)]
    frame, options = _frame(spark, rows), Options(split_text_only=True)
    found = placement.place(frame, placement.kinds(frame, options), options).collect()
    assert {row["split"] for row in found} == set(split.SPLITS)
    with pytest.raises(CatalogError) as raised:
        placement.place(frame, placement.kinds(frame, Options()), Options())
    assert str(raised.value) == (
        "Expected a product with a photo: products without one are only in train, and validation and test would "
        "be empty. Received: none. --split-text-only splits products without a photo too"
    )


def test_rows_that_are_other_already_are_split_as_those_of_a_category(spark: SparkSession) -> None:
    rows: list[Row] = [(f"{number:03d}", "other", f"thing {number}", f"sha {number}") for number in range(50)]
    found = placement.kinds(_frame(spark, rows), Options(other=["other"]))
    assert (found.trained, found.held_out) == ([], [])
    placed = placement.place(_frame(spark, rows), found, Options()).collect()
    assert {row["label"] for row in placed} == {"other"}
    assert {row["split"] for row in placed} == set(split.SPLITS)


def test_other_categories_that_no_catalog_has_are_named(spark: SparkSession) -> None:
    with pytest.raises(CatalogError) as raised:
        placement.kinds(_frame(spark, PHOTOGRAPHED[:3]), Options(other=["Hats", "Hat", "Cap"]))
    assert str(raised.value) == "Expected --other to name categories of the catalogs. Received: Cap, Hat"


def test_validation_is_capped_by_a_hash_of_the_ids(spark: SparkSession) -> None:
    options = Options()
    frame = _frame(spark, PHOTOGRAPHED)
    placed = placement.place(frame, placement.kinds(frame, options), options)
    kept = {}
    for most in (4, 7, 10):
        rows = placement.capped(placed, most).collect()
        assert len(rows) == 100
        assert {row["split"] for row in rows if row["left_out"] == BEYOND} <= {"validation"}
        kept[most] = {row["product_id"] for row in rows if row["split"] == "validation" and not row["left_out"]}
        assert len(kept[most]) == most
    assert kept[4] < kept[7] < kept[10]
