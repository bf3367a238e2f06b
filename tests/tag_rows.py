"""Rows of the tags table and staged results, for the tests of what plans, assembles and audits them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fashion_udf.model import taxonomy
from fashion_udf.schema import EMBEDDING_SIZE, RESULT, TAGS, to_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

UNIT = [1.0] + [0.0] * (EMBEDDING_SIZE - 1)
TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

_SCORED: dict[str, Any] = {
    "model_category": "Tops",
    "confidence": 0.75,
    "decision": "auto",
    "top_categories": [("Tops", 0.75), ("Shoes", 0.25)],
    "parent_category": "Upper garments",
    "parent_confidence": 0.875,
    "parent_decision": "auto",
    "novelty": 0.125,
    "attributes": [("colour", "Red", 0.5, "review")],
    "embedding": UNIT,
    "modality": "both",
    "status": "ok",
    "fingerprint": "f",
    "image_sha256": "s",
    "model_version": "v1",
    "run_id": "r1",
    "tagged_at": TIME,
}


#: The families of the categories that rows have here.
TAXONOMY = taxonomy.build(
    {"Upper garments": ["Tops", "Shirts"], "Headwear": ["Hats", "Caps"]}, ["Tops", "Shirts", "Hats", "Caps", "Shoes"]
)


def tags(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """Rows of `TAGS`; what a row does not state is that of a sound top."""
    return _frame(spark, TAGS, {**_SCORED, "category": "Tops", "category_source": "model", "reason": "new"}, rows)


def results(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """Rows of `RESULT`, likewise."""
    return _frame(spark, RESULT, {**_SCORED, "planned_fingerprint": "f", "unchanged": False}, rows)


def fingerprint(text: str, image: str = "i", versions: str = "v") -> str:
    """A fingerprint whose parts are those words."""
    return f"{text:0<32}-{image:0<32}-{versions:0<32}"


def _frame(
    spark: SparkSession, schema: pa.Schema, usual: dict[str, Any], rows: tuple[dict[str, Any], ...]
) -> DataFrame:
    values = [{**usual, **row} for row in rows]
    assert all(value.keys() <= {*schema.names} for value in values), "no column of another name"
    # One partition: tasks for ten rows take longer than the test.
    return spark.createDataFrame(
        [tuple(v.get(name) for name in schema.names) for v in values], to_spark(schema)
    ).coalesce(1)
