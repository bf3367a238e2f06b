"""What a run leaves to query: changes with their cause, failures, the review queue, and how often people agreed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from fashion_udf.pipeline import run_tables
from tests.tables import at
from tests.tag_rows import TIME, tags

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture(scope="module")
def before(spark: SparkSession) -> DataFrame:
    """The published table."""
    return tags(
        spark,
        {"product_id": "same"},
        {"product_id": "model"},
        {"product_id": "lost"},
        {"product_id": "found", "category": None},
        {"product_id": "given"},
        {"product_id": "withdrawn", "category": "Kites", "category_source": "override"},
        {"product_id": "gone"},
    )


@pytest.fixture(scope="module")
def after(spark: SparkSession) -> DataFrame:
    """The next one, by run r2."""
    r2 = {"run_id": "r2"}
    return tags(
        spark,
        {"product_id": "same"},
        {"product_id": "model", "category": "Hats", "confidence": 0.5, "reason": "model", "decision": "review", **r2},
        {"product_id": "lost", "category": None, "confidence": None, "reason": "image", "status": "not_scored",
         "decision": "abstain", "error": "refused", "modality": "none", "model_category": None, **r2},
        {"product_id": "found", "reason": "retry", **r2},
        {"product_id": "given", "category": "Kites", "category_source": "override", "decision": "review", **r2},
        {"product_id": "withdrawn"},
        {"product_id": "new", "category": "Hats", "confidence": 0.25, "decision": "review", **r2},
        {"product_id": "novel", "confidence": 0.625, "novelty": 0.375, "decision": "review", **r2},
        {"product_id": "novel for a text", "confidence": 0.6875, "novelty": 0.25, "decision": "review",
         "modality": "text", **r2},
        {"product_id": "by 0.1", "confidence": 0.75, "novelty": None, "decision": "review", **r2},
        {"product_id": "old doubt", "decision": "review", "status": "image_corrupt", "error": "no JPEG"},
        {"product_id": "a text", "status": "text_missing", **r2},
        {"product_id": "a photo", "status": "image_none", **r2},
    )  # fmt: skip


#: The novelty beyond which nothing is `auto`, by modality.
LIMITS = {"both": 0.25, "image": 0.25, "text": 0.125}
UNCHANGED = "product_id string, cause string, error string"
UNREADABLE = "product_id string, modality string"


def test_the_tables_of_a_run_hold_what_people_ask_for(
    spark: SparkSession, tmp_path: Path, before: DataFrame, after: DataFrame
) -> None:
    (tmp_path / "changes.parquet").mkdir()
    (tmp_path / "changes.parquet" / "part-0.parquet").write_bytes(b"of an earlier plan")
    unchanged = [("a", "image_io", "no answer"), ("b", "same_photo", None), ("c", "image_io", None)]
    looked_at = {
        "unchanged": spark.createDataFrame(unchanged, UNCHANGED),
        "unreadable": spark.createDataFrame([("new", "text"), ("model", "both")], UNREADABLE),
    }
    counted = run_tables.write(at(tmp_path), after, before, looked_at, "r2", LIMITS)
    assert counted == ({"image_io": 2, "same_photo": 1}, 2)
    assert pq.read_table(tmp_path / "unreadable.parquet").num_rows == 2
    assert sorted(tuple(row.values()) for row in pq.read_table(tmp_path / "unchanged.parquet").to_pylist()) == unchanged
    changes, failures, review = (
        pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("changes", "failures", "review")
    )
    assert {row["product_id"]: (row["from"], row["to"], row["confidence"], row["cause"]) for row in changes} == {
        "model": ("Tops", "Hats", 0.5, "model"),
        "lost": ("Tops", None, None, "image"),
        "found": (None, "Tops", 0.75, "retry"),
        "given": ("Tops", "Kites", 0.75, "override"),
        "withdrawn": ("Kites", "Tops", 0.75, "override"),
    }
    assert len(changes) == 5
    assert sorted(failures, key=lambda row: row["product_id"]) == [
        {"product_id": "lost", "status": "not_scored", "error": "refused", "modality": "none", "category": None,
         "tagged_at": TIME},
        {"product_id": "old doubt", "status": "image_corrupt", "error": "no JPEG", "modality": "both",
         "category": "Tops", "tagged_at": TIME},
    ]  # fmt: skip
    assert [(row["product_id"], row["confidence"], row["decision"], row["cause"]) for row in review] == [
        ("lost", None, "abstain", "not_scored"),
        ("new", 0.25, "review", "confidence"),
        ("model", 0.5, "review", "confidence"),
        ("novel", 0.625, "review", "novelty"),
        ("novel for a text", 0.6875, "review", "novelty"),
        ("by 0.1", 0.75, "review", "confidence"),
    ], "least sure first; neither what a person decided nor what an earlier run asked"
    assert [*review[0]] == [
        "product_id", "category", "confidence", "decision", "cause",
        "novelty", "parent_category", "parent_decision", "top_categories",
    ]  # fmt: skip


def test_a_first_run_has_empty_tables_with_their_columns(spark: SparkSession, tmp_path: Path) -> None:
    table = tags(spark, {"product_id": "a", "run_id": "r2"})
    looked_at = {
        "unchanged": spark.createDataFrame([], UNCHANGED),
        "unreadable": spark.createDataFrame([], UNREADABLE),
    }
    assert run_tables.write(at(tmp_path), table, tags(spark), looked_at, "r2", LIMITS) == ({}, 0)
    names = ("changes", "failures", "review", "unchanged", "unreadable")
    found = [pq.read_table(tmp_path / f"{name}.parquet") for name in names]
    assert [table.num_rows for table in found] == [0, 0, 0, 0, 0]
    assert found[0].column_names == ["product_id", "from", "to", "confidence", "cause"]
