"""The list of photos that could not be had: which list counts, what it says of a row, and who is on the next one."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from fashion_udf.pipeline import retries
from fashion_udf.schema import RETRIES, to_spark
from tests.tag_rows import results

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
LISTED = "product_id string, fingerprint string, nights int, last_night date"


def test_the_list_that_was_written_last_counts_and_half_a_list_does_not(spark: SparkSession, tmp_path: Path) -> None:
    assert retries.read(spark, str(tmp_path)) is None
    for run, written in (("r2", 100), ("r1", 200)):
        rows = spark.createDataFrame([(run, "f", 1, MONDAY)], LISTED).coalesce(1)
        rows.write.parquet(str(tmp_path / "runs" / run / "retries.parquet"))
        (part,) = (tmp_path / "runs" / run / "retries.parquet").glob("part-*")
        os.utime(part, (written, written))
    (tmp_path / "runs" / "r3" / "retries.parquet" / "_temporary").mkdir(parents=True)
    for but, expected in (("", "r1"), ("r1", "r2")):
        found = retries.read(spark, str(tmp_path), but)
        assert found is not None and found.schema == to_spark(RETRIES)
        assert [row["product_id"] for row in found.collect()] == [expected]


def test_a_row_has_the_nights_before_this_one_of_the_same_text_and_photo(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("twice", "f"), ("tonight", "f"), ("rests", "f"), ("changed", "g"), ("sound", "f")],
        "product_id string, fingerprint string",
    )
    listed = spark.createDataFrame(
        [("twice", "f", 2, MONDAY), ("tonight", "f", 2, TUESDAY), ("rests", "f", 5, None), ("changed", "f", 2, MONDAY)],
        LISTED,
    )
    found = retries.with_failed_nights(rows, listed, TUESDAY)
    assert {row["product_id"]: row["failed_nights"] for row in found.collect()} == {
        "twice": 2, "tonight": 1, "rests": 5, "changed": None, "sound": None,
    }  # fmt: skip
    without = retries.with_failed_nights(rows, None, TUESDAY)
    assert without.schema == found.schema and {row["failed_nights"] for row in without.collect()} == {None}


def test_the_next_list_has_what_failed_again_and_what_rests(spark: SparkSession) -> None:
    planned = spark.createDataFrame(
        [
            ("first", "f1", "score", None),
            ("again", "f2", "score", 2),
            ("its twin", "f2", "score", None),
            ("had at last", "f3", "score", 2),
            ("same bytes", "f4", "staged", 1),
            ("rests", "f5", "rest", 5),
            ("good", "f6", "carry", 1),
        ],
        "product_id string, fingerprint string, action string, failed_nights int",
    )
    found = results(
        spark,
        {"planned_fingerprint": "f1", "status": "image_io"},
        {"planned_fingerprint": "f2", "status": "image_timeout"},
        {"planned_fingerprint": "f3"},
        {"planned_fingerprint": "f4", "status": "image_io", "unchanged": True},
    ).withColumnRenamed("planned_fingerprint", "for_fingerprint")
    expected = {
        "first": (1, TUESDAY),
        "again": (3, TUESDAY),
        "its twin": (1, TUESDAY),
        "rests": (5, None),
    }
    before = spark.createDataFrame([("first", "f0", 4, MONDAY), ("elsewhere", "f9", 1, MONDAY)], LISTED)
    for others, more in ((None, {}), (before, {"elsewhere": (1, MONDAY)})):
        listed = retries.after(planned, found, TUESDAY, others)
        assert listed.columns == RETRIES.names
        assert {row["product_id"]: (row["nights"], row["last_night"]) for row in listed.collect()} == expected | more


def test_a_list_that_is_empty_or_damaged_is_no_list(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = tmp_path / "runs" / "r1" / "retries.parquet" / "part-0.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(RETRIES.empty_table(), part)
    assert retries.read(spark, str(tmp_path)) is None and not caplog.messages
    part.write_bytes(b"PAR1")
    assert retries.read(spark, str(tmp_path)) is None
    assert f"{part} is damaged and ignored: the count of nights starts again" in caplog.text
