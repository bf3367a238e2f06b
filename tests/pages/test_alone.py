"""Which of photo and text is likely wrong, where both were scored alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fashion_udf.pages import alone

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CASES = {
    "they agree": ("Shoes", 0.9, "Shoes", 0.9, None),
    "both are sure": ("Shoes", 0.95, "Bags", 0.95, "photo"),
    "the text is surer": ("Shoes", 0.7, "Bags", 0.99, "photo"),
    "the photo is much surer": ("Shoes", 0.99, "Bags", 0.65, "text"),
    "the photo says nothing": ("Shoes", 0.3, "Bags", 0.99, None),
    "the text says nothing": ("Shoes", 0.99, "Bags", 0.2, None),
    "not scored alone": (None, None, None, None, None),
}


def test_the_photo_is_the_suspect_unless_it_is_much_surer_than_the_text(spark: SparkSession) -> None:
    columns = "case string, image_alone string, image_confidence float, text_alone string, text_confidence float"
    rows = spark.createDataFrame([(case, *facts[:4]) for case, facts in CASES.items()], columns)
    found = {row["case"]: row["suspect"] for row in rows.withColumn("suspect", alone.suspect()).collect()}
    assert found == {case: facts[4] for case, facts in CASES.items()}
