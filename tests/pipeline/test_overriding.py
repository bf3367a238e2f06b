"""People overrule the model until they withdraw: category, family, confidence and decision of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fashion_udf.model import taxonomy
from fashion_udf.pipeline import overriding
from fashion_udf.schema import TAGS
from tests.pipeline.assembled import KITES, assembled, by_id, family, shown
from tests.tag_rows import TAXONOMY, tags

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GIVEN = {
    "carried": "Kites",
    "agreed": "Tops",
    "second best": "Shoes",
    "scored": "Kites",
    "scored again": "Kites",
    "given anew": "Shoes",
    "unknown": "Kites",
    "reverted": "Belts",
}
#: product -> (its published row, action, category, source, confidence, previous category).
OVERRIDDEN: dict[str, tuple[dict[str, Any] | None, str, str | None, str, float | None, str | None]] = {
    "carried": ({}, "carry", "Kites", "override", None, "Belts"),
    "agreed": ({}, "carry", "Tops", "override", 0.75, "Belts"),
    "second best": ({}, "carry", "Shoes", "override", 0.25, "Belts"),
    "scored": (None, "score", "Kites", "override", None, None),
    "scored again": (KITES, "score", "Kites", "override", None, None),
    "given anew": (KITES, "carry", "Shoes", "override", 0.25, "Belts"),
    "withdrawn": ({**KITES, "confidence": None}, "carry", "Tops", "model", 0.75, "Belts"),
    "withdrawn and scored": (KITES, "score", "Hats", "model", 0.5, "Kites"),
    "withdrawn from nothing": (
        {**KITES, "model_category": None, "top_categories": None}, "carry", None, "model", None, "Belts",
    ),
    "kept": (
        {"category": "Shoes", "category_source": "kept", "confidence": 0.25}, "carry", "Shoes", "kept", 0.25, "Belts",
    ),
    "untouched": ({}, "carry", "Tops", "model", 0.75, "Belts"),
    "reverted": ({}, "carry", "Belts", "override", None, None),
}  # fmt: skip


def test_people_overrule_the_model_on_carried_and_scored_rows_until_they_withdraw(spark: SparkSession) -> None:
    rows = {name: (case[0], case[1], {} if case[1] == "score" else None) for name, case in OVERRIDDEN.items()}
    table, previous = assembled(spark, rows, None, "image")
    overrides = spark.createDataFrame([*GIVEN.items()], "product_id string, category string")
    overridden = overriding.override(table, overrides, TAXONOMY)
    assert overridden.columns == TAGS.names
    found, before = by_id(overridden), by_id(previous)
    assert {name: shown(row) for name, row in found.items()} == {name: case[2:] for name, case in OVERRIDDEN.items()}
    assert found["untouched"] == before["untouched"] and found["kept"] == before["kept"]
    assert found["carried"]["model_category"] == "Tops" and found["scored"]["model_category"] == "Hats"
    # Those given, but for "scored", which is new, and "scored again", which is so already; and the three withdrawn.
    assert overriding.override_changes(previous, overrides) == len({*GIVEN} - {"scored", "scored again", "unknown"}) + 3


#: product -> (its published row, action, family, its confidence, its decision), with the overrides of `GIVEN`.
FAMILIES: dict[str, tuple[dict[str, Any] | None, str, str | None, float | None, str]] = {
    "carried": ({}, "carry", "Kites", None, "auto"),  # a category that the taxonomy does not know
    "agreed": ({"decision": "review"}, "carry", "Upper garments", 0.75, "auto"),
    "second best": ({}, "carry", "Shoes", 0.25, "auto"),
    "scored": (None, "score", "Kites", None, "auto"),
    "withdrawn": (
        {**KITES, "decision": "review", "parent_category": "Kites"}, "carry", "Upper garments", 0.75, "review",
    ),
    "withdrawn and scored": (KITES, "score", "Headwear", 0.625, "review"),
    "withdrawn from nothing": (
        {**KITES, "model_category": None, "top_categories": None, "decision": "abstain"},
        "carry", None, None, "abstain",
    ),
    "untouched": ({}, "carry", "Upper garments", 0.875, "auto"),
}  # fmt: skip


def test_the_family_is_that_of_the_published_category(spark: SparkSession) -> None:
    rows = {name: (case[0], case[1], {} if case[1] == "score" else None) for name, case in FAMILIES.items()}
    table, _ = assembled(spark, rows, None, "image")
    overrides = spark.createDataFrame([*GIVEN.items()], "product_id string, category string")
    found = by_id(overriding.override(table, overrides, TAXONOMY))
    assert {name: family(row) for name, row in found.items()} == {name: case[2:] for name, case in FAMILIES.items()}
    assert found["agreed"]["decision"] == "review", "what the model says of the category stays for a withdrawal"
    assert found["carried"]["attributes"][0]["value"] == "Red" and found["carried"]["novelty"] == 0.125


def test_without_families_each_category_is_its_own(spark: SparkSession) -> None:
    given = spark.createDataFrame([("a", "Hats")], "product_id string, category string")
    plain = taxonomy.build({}, ["Hats", "Tops"])
    found = by_id(overriding.override(tags(spark, {"product_id": "a"}), given, plain))
    assert family(found["a"]) == ("Hats", None, "auto")


def test_overrides_that_are_published_already_change_nothing(spark: SparkSession) -> None:
    previous = tags(spark, {"product_id": "a", **KITES}, {"product_id": "b"})
    given = spark.createDataFrame([("a", "Kites"), ("c", "Hats")], "product_id string, category string")
    assert overriding.override_changes(previous, given) == 0
    none = spark.createDataFrame([], "product_id string, category string")
    assert overriding.override_changes(previous, none) == 1
    assert overriding.override_changes(tags(spark), given) == 0
