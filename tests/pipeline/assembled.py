"""Published rows and results assembled to the next table, for the tests of assembling and of overriding."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fashion_udf.pipeline import assembly
from fashion_udf.pipeline.assembly import Stability
from tests.tag_rows import TAXONOMY, TIME, UNIT, results, tags

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

OLD: dict[str, Any] = {"fingerprint": "old", "run_id": "r0", "image_sha256": "old", "previous_category": "Belts"}
OLD |= {"image_validator": '"old"'}
#: An embedding no two roundings of which are equal.
VECTOR = [0.1, *UNIT[1:-1], 1e-45]
HATS: dict[str, Any] = {
    "model_category": "Hats",
    "confidence": 0.5,
    "top_categories": [("Hats", 0.5), ("Tops", 0.375)],
    "parent_category": "Headwear",
    "parent_confidence": 0.625,
    "parent_decision": "review",
    "novelty": 0.25,
    "attributes": [("colour", "Blue", 0.75, "auto")],
    "embedding": UNIT[::-1],
    "fingerprint": "scored",
    "image_sha256": "scored",
    "image_validator": '"scored"',
    "model_version": "v2",
    "run_id": "r1",
    "tagged_at": TIME + timedelta(days=1),
}
KITES: dict[str, Any] = {"category": "Kites", "category_source": "override"}


def inputs(
    spark: SparkSession, cases: dict[str, tuple[Any, Any, Any]], reason: str | None
) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Return the plan, the published table and the results; without a reason, each product is named by its own."""
    previous = tags(
        spark, *({**OLD, "product_id": name} | case[0] for name, case in cases.items() if case[0] is not None)
    )
    planned = spark.createDataFrame(
        [
            (name, name, case[1], None if case[1] == "carry" else reason or name)
            for name, case in cases.items()
            if case[1]
        ],
        "product_id string, fingerprint string, action string, reason string",
    )
    found = results(
        spark,
        *({"planned_fingerprint": name, **HATS, **case[2]} for name, case in cases.items() if case[2] is not None),
    )
    return planned, previous, found.withColumn("for_fingerprint", found["planned_fingerprint"])


def assembled(
    spark: SparkSession,
    cases: dict[str, tuple[Any, Any, Any]],
    margin: float | None,
    reason: str | None,
    left_rows: int = assembly.FEW_ROWS,
) -> tuple[DataFrame, DataFrame]:
    """Return the next table and the published one."""
    planned, previous, usable = inputs(spark, cases, reason)
    gone = spark.createDataFrame([("gone",)], "product_id string")
    return assembly.assemble(planned, previous, usable, gone, Stability(margin, TAXONOMY), left_rows), previous


def by_id(table: DataFrame) -> dict[str, Row]:
    rows = table.collect()
    found = {row["product_id"]: row for row in rows}
    assert len(rows) == len(found), "each product once"
    return found


def shown(row: Row) -> tuple[Any, ...]:
    """Return what an override or a kept category changes."""
    return tuple(row[name] for name in ("category", "category_source", "confidence", "previous_category"))


def family(row: Row) -> tuple[Any, ...]:
    """Return what a row says of the family."""
    return tuple(row[name] for name in ("parent_category", "parent_confidence", "parent_decision"))
