"""Several catalogs as one: the first row of a product wins, its attributes are all that is known, ids are unique."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.errors import CatalogError
from training.data import catalogs
from training.data.catalogs import title_without_colours

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "product_id string, title string, category string, gender string, image binary"


def _catalog(spark: SparkSession, *rows: tuple[Any, ...], columns: str = COLUMNS) -> DataFrame:
    return spark.createDataFrame([*rows], columns)


def _products(*frames: DataFrame, attributes: tuple[str, ...] = ("gender",)) -> dict[str, dict[str, Any]]:
    rows = catalogs.products(catalogs.united(frames, attributes), attributes).collect()
    return {row["product_id"]: row.asDict() for row in rows}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Nike Men Navy Blue T-Shirt", "NIKE men  Red t shirt", True),
        ("Nike Men Blue Tshirt", "Nike Women Blue Tshirt", False),
        ("Red", "Blue", False),
        ("Off White / Teal Hat", "Hat", True),
        ("***", "* * *", False),
    ],
)
def test_titles_of_colour_variants_are_the_same_without_colours(one: str, other: str, same: bool) -> None:
    assert (title_without_colours(one) == title_without_colours(other)) == same


@pytest.mark.parametrize("title", [None, "", " \t"])
def test_a_blank_title_has_nothing_in_common_with_another(title: str | None) -> None:
    assert title_without_colours(title) is None


@given(st.text())
def test_a_title_in_capitals_with_a_colour_is_a_variant(title: str) -> None:
    words = title_without_colours(f"{title} hat")
    assert title_without_colours(f"{title} Red hat") == words


def test_the_first_catalogs_row_wins_and_lacking_attributes_come_from_the_next(spark: SparkSession) -> None:
    first = _catalog(spark, ("a", "First", "Hats", None, b"1"), ("b", "B", "Hats", " Men ", None))
    second = _catalog(spark, ("a", "Second", "Caps", "Women", b"2"), ("b", "B", "Hats", "Women", b"3"))
    third = _catalog(spark, ("a", "Third", "Caps", "Men", b"2"), ("c", None, "Caps", " ", b""))
    found = _products(first, second, third)
    assert [found["a"][name] for name in ("catalog", "copies", "category", "normalised_title", "attributes")] == [
        *(0, 3, "Hats", "first", '{"gender":"Women"}')
    ]
    assert (found["b"]["attributes"], found["b"]["image_sha256"]) == ('{"gender":"Men"}', None)
    assert [found["c"][name] for name in ("catalog", "normalised_title", "attributes", "image_sha256")] == [
        *(2, None, "{}", None)
    ]


def test_rows_without_a_category_give_way_to_labelled_ones(spark: SparkSession) -> None:
    found = _products(_catalog(spark, ("a", "A", None, None, b"1")), _catalog(spark, ("a", "A", "Hats", None, b"1")))
    assert (found["a"]["catalog"], found["a"]["copies"]) == (1, 1)


def test_columns_that_a_catalog_lacks_are_null(spark: SparkSession) -> None:
    rows = catalogs.united(
        [_catalog(spark, ("a", "A", "Hats"), columns="product_id string, title string, category string")], ["season"]
    )
    assert rows.collect()[0].asDict() == {
        **{"product_id": "a", "title": "A", "category": "Hats", "catalog": 0},
        **dict.fromkeys(("description", "image", "season")),
    }


def test_only_attributes_that_are_there_are_taken_unless_some_are_asked_for(spark: SparkSession) -> None:
    frame = _catalog(spark, ("a", "A", "Hats", "Men", None))
    assert catalogs.attribute_names([frame]) == ("gender",)
    assert catalogs.attribute_names([frame], ["title"]) == ("title",)
    assert catalogs.attribute_names([frame], []) == ()


@pytest.mark.parametrize(("ids", "named"), [(["a", "b", "a"], "a"), ([None, "b"], "null")])
def test_an_id_that_repeats_in_its_catalog_or_is_missing_is_named(
    spark: SparkSession, ids: list[str | None], named: str
) -> None:
    frame = _catalog(spark, *((name, "T", "Hats", None, None) for name in ids))
    with pytest.raises(CatalogError) as raised:
        _products(frame, _catalog(spark, ("b", "T", "Hats", None, None)))
    assert str(raised.value) == f"Expected every product_id once in its catalog. Received: {named}"


def test_a_catalog_without_labels_is_refused(spark: SparkSession) -> None:
    with pytest.raises(CatalogError) as raised:
        catalogs.united([_catalog(spark, ("a", "A", "Hats", None, None)).drop("category", "title")], [])
    assert str(raised.value) == (
        "Expected a labelled catalog, as `fashion-udf import` writes with --images bytes. "
        "Received: one without category, title"
    )


def test_a_catalog_with_paths_of_photos_is_refused(spark: SparkSession) -> None:
    frame = _catalog(spark, ("a", "A", "Hats", None, None)).withColumnRenamed("image", "image_uri")
    with pytest.raises(CatalogError) as raised:
        catalogs.united([frame], [])
    assert str(raised.value) == (
        "Expected photos as bytes, as `fashion-udf import` writes with --images bytes. Received: only image_uri. "
        "Drop the column to train on texts only"
    )
