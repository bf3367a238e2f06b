"""The plan: what is carried, what has a result already, what is scored, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.pipeline import comparison
from fashion_udf.pipeline.comparison import PlanCounts, Scope
from fashion_udf.schema import NOT_A_FAILURE, RETRY_EVERY_RUN, Status
from tests.tag_rows import TIME, fingerprint, results, tags

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

Decisions = dict[str, tuple[str, str | None, str | None]]


def _decided(spark: SparkSession, cases: dict[str, dict[str, Any]], scope: Scope) -> Decisions:
    rows = _compared(spark, cases, scope)
    return {name: (row["action"], row["reason"], row["known_sha256"]) for name, row in rows.items()}


def _compared(spark: SparkSession, cases: dict[str, dict[str, Any]], scope: Scope) -> dict[str, Row]:
    """Compare cases of (before, now, status, sha of the published photo, staged); each has a text of its own."""
    rows, published, staged = [], [], []
    for name, case in cases.items():
        now = fingerprint(name + case.get("text", ""), case.get("image", "i"), case.get("versions", "v"))
        rows.append(
            (name, now, "file", 0, True, True, False, 0, 1, case.get("by_url", False), case.get("failed_nights"))
        )
        if case.get("published", True):
            status, sha256 = case.get("status", "ok"), case.get("sha256", "s")
            row = {"product_id": name, "fingerprint": fingerprint(name), "status": status}
            published.append(row | {"image_sha256": sha256, "image_validator": case.get("validator")})
        if "unchanged" in case:
            result = {"planned_fingerprint": now, "unchanged": case["unchanged"]}
            staged.append({**result, "image_sha256": case.get("staged_sha256", "s")})
    frame = spark.createDataFrame(rows, f"{ROWS}, failed_nights int")
    usable = results(spark, *staged).withColumnRenamed("planned_fingerprint", "for_fingerprint")
    found = comparison.with_actions(frame, tags(spark, *published), usable, scope, 3)
    assert found.columns == [*frame.columns, "action", "reason", "known_sha256", "known_validator", "staged_by"]
    decided = found.collect()
    assert len(decided) == len(cases), "each row once"
    return {row["product_id"]: row for row in decided}


HELD = "has_photo boolean, has_text boolean, damaged_text boolean, further_photos int"
ROWS = f"product_id string, fingerprint string, file string, row long, {HELD}, photo_bytes long, by_url boolean"
#: name -> (what is compared, what is to be done).
NIGHTLY: dict[str, tuple[dict[str, Any], tuple[str, str | None, str | None]]] = {
    "same": ({}, ("carry", None, "s")),
    "same without photo": ({"sha256": None}, ("carry", None, None)),
    "same and corrupt": ({"status": "image_corrupt"}, ("carry", None, "s")),
    "same and staged": ({"unchanged": False}, ("carry", None, "s")),
    "new": ({"published": False}, ("score", "new", None)),
    "image": ({"image": "j"}, ("score", "image", "s")),
    "text": ({"text": "x"}, ("score", "text", None)),
    "model": ({"versions": "w"}, ("score", "model", None)),
    "image over text and model": ({"image": "j", "text": "x", "versions": "w"}, ("score", "image", None)),
    "text over model": ({"text": "x", "versions": "w"}, ("score", "text", None)),
    "image over retry": ({"image": "j", "status": "image_io"}, ("score", "image", None)),
    "model over retry": ({"versions": "w", "status": "image_io"}, ("score", "model", None)),
    **{f"retry {status}": ({"status": status.value}, ("score", "retry", None)) for status in RETRY_EVERY_RUN},
    "staged new": ({"published": False, "unchanged": False}, ("staged", "new", None)),
    "staged text": ({"text": "x", "unchanged": False}, ("staged", "text", None)),
    "staged retry": ({"status": "image_io", "unchanged": False}, ("staged", "retry", None)),
    "same bytes": ({"image": "j", "unchanged": True}, ("staged", "image", "s")),
    "other bytes": ({"image": "j", "unchanged": True, "staged_sha256": "z"}, ("score", "image", "s")),
    "bytes unknown": ({"image": "j", "unchanged": True, "sha256": None}, ("score", "image", None)),
    "same bytes and text": ({"image": "j", "text": "x", "unchanged": True}, ("score", "image", None)),
    "same bytes and model": ({"image": "j", "versions": "w", "unchanged": True}, ("score", "image", None)),
    "same bytes and retry": ({"image": "j", "status": "image_io", "unchanged": True}, ("score", "image", None)),
    "failed twice": ({"status": "image_io", "failed_nights": 2}, ("score", "retry", None)),
    "failed enough": ({"status": "image_io", "failed_nights": 3}, ("rest", None, None)),
    "failed enough, and good before": ({"image": "j", "failed_nights": 3}, ("rest", None, "s")),
    "failed enough, and staged": ({"image": "j", "failed_nights": 3, "unchanged": False}, ("staged", "image", "s")),
    "failed enough, and never published": ({"published": False, "failed_nights": 3}, ("score", "new", None)),
    "same bytes of a new product": ({"published": False, "unchanged": True}, ("score", "new", None)),
}  # fmt: skip


def test_every_row_is_carried_has_a_result_or_is_scored_with_a_reason(spark: SparkSession) -> None:
    found = _decided(spark, {name: case for name, (case, _) in NIGHTLY.items()}, Scope())
    assert found == {name: expected for name, (_, expected) in NIGHTLY.items()}


def test_a_retry_of_failures_scores_every_failed_row_and_no_sound_one(spark: SparkSession) -> None:
    cases: dict[str, dict[str, Any]] = {status.value: {"status": status.value} for status in Status}
    cases["rested"] = {"status": "image_io", "failed_nights": 9}
    cases["staged"] = {"status": "image_corrupt", "unchanged": False}
    expected: Decisions = {status.value: ("score", "retry", None) for status in Status}
    expected |= {status.value: ("carry", None, "s") for status in NOT_A_FAILURE}
    assert _decided(spark, cases, Scope(retry_failed=True)) == {
        **expected,
        "rested": ("score", "retry", None),
        "staged": ("staged", "retry", None),
    }


def test_a_forced_run_scores_every_row_and_still_says_what_changed(spark: SparkSession) -> None:
    cases: dict[str, dict[str, Any]] = {
        "same": {},
        "text": {"text": "x"},
        "new": {"published": False},
        "failed": {"status": "image_io"},
        "rested": {"status": "image_io", "failed_nights": 9},
        "scored in this run": {"unchanged": False},
        "same bytes": {"image": "j", "unchanged": True},
    }
    assert _decided(spark, cases, Scope(forced=True)) == {
        "same": ("score", "forced", None),
        "text": ("score", "text", None),
        "new": ("score", "new", None),
        "failed": ("score", "retry", None),
        "rested": ("score", "retry", None),
        "scored in this run": ("staged", "forced", None),
        "same bytes": ("score", "image", None),
    }


def test_a_recheck_asks_for_the_photos_of_urls_alone(spark: SparkSession) -> None:
    cases: dict[str, dict[str, Any]] = {
        "file": {},
        "url": {"by_url": True},
        "url that failed": {"by_url": True, "status": "image_missing", "sha256": None},
        "text": {"by_url": True, "text": "x"},
        "asked in this run": {"by_url": True, "unchanged": True},
        "other model": {"by_url": True, "versions": "w"},
    }
    assert _decided(spark, cases, Scope(recheck_photos=True)) == {
        "file": ("carry", None, "s"),
        "url": ("score", "image", "s"),
        "url that failed": ("score", "image", None),
        "text": ("score", "text", None),
        "asked in this run": ("staged", "image", "s"),
        "other model": ("score", "model", None),
    }
    assert _decided(spark, {"url": cases["url"]}, Scope()) == {"url": ("carry", None, "s")}


def test_a_host_is_asked_by_the_published_validator_or_by_a_day_before_the_row_was_scored(spark: SparkSession) -> None:
    cases: dict[str, dict[str, Any]] = {"old": {"by_url": True}, "etag": {"by_url": True, "validator": 'W/"a"'}}
    cases["other url"] = {**cases["etag"], "image": "j"}  # where the same ETag may be that of another photo
    asked = {name: row["known_validator"] for name, row in _compared(spark, cases, Scope(recheck_photos=True)).items()}
    day_before = TIME - timedelta(days=1)
    assert asked == {"old": formatdate(day_before.timestamp(), usegmt=True), "etag": 'W/"a"', "other url": None}
    assert _compared(spark, {"etag": cases["etag"]}, Scope())["etag"]["known_validator"] is None


PLANNED: list[tuple[Any, ...]] = [
    # product, fingerprint, photo?, its bytes, action, reason, known_sha256
    ("a", "one", True, 10, "score", "image", "s"),
    ("b", "one", True, 10, "score", "image", "s"),
    ("d", "two", True, 20, "score", "new", None),
    ("c", "two", True, 20, "score", "image", "s"),
    ("e", "three", True, 30, "score", "image", "s"),
    ("f", "three", True, 30, "score", "image", "z"),
    ("g", "four", False, None, "carry", None, "s"),
    ("h", "four", False, None, "score", "retry", None),
    ("i", "five", True, 999, "staged", "text", None, "r0"),
    ("k", "seven", True, 999, "staged", "text", None, "r1"),
    ("l", "seven", True, 999, "staged", "text", None, "r1"),
    ("j", "six", True, 999, "rest", None, None),
]


def _planned(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    from pyspark.sql import functions as F

    columns = "product_id string, fingerprint string, has_photo boolean, photo_bytes long"
    frame = spark.createDataFrame(
        [(*row[:7], None, *(row[7:] or (None,))) for row in rows],
        f"{columns}, action string, reason string, known_sha256 string, known_validator string, staged_by string",
    )
    some = {"has_text": frame["product_id"] < "d", "damaged_text": frame["product_id"] < "c"}
    return frame.withColumns(
        {**some, "file": F.when(frame["product_id"] < "e", "first"), "further_photos": F.when(some["has_text"], 2)}
    )


def test_one_row_of_each_fingerprint_is_scored_for_all_and_skipped_only_if_all_have_that_photo(
    spark: SparkSession,
) -> None:
    found = comparison.one_per_fingerprint(_planned(spark, PLANNED)).collect()
    assert sorted((row["fingerprint"], row["product_id"], row["known_sha256"]) for row in found) == [
        ("four", "h", None),
        ("one", "a", "s"),
        ("three", "e", None),
        ("two", "c", None),
    ]


def test_rows_are_counted_by_what_is_done_with_them(spark: SparkSession) -> None:
    expected = PlanCounts(
        accepted=12,
        carried=2,
        resting=1,
        staged=1,
        scored_before=1,
        removed=2,
        to_score=4,
        duplicates=4,
        with_photo=3,
        largest_photo=30,
        photo_bytes=60,
        files={"first": 2, None: 2},
        reasons={"image": 5, "new": 1, "retry": 1, "text": 3},
        catalog={"rows_with_photo": 10, "rows_with_text": 3, "texts_not_utf8": 2, "rows_with_more_photos": 3},
    )
    planned = _planned(spark, PLANNED)
    assert comparison.count(planned, 13, "r1") == expected, "published are eleven of those planned, and two"
    assert comparison.count(planned, None, "r1") == replace(expected, removed=0)


def test_an_empty_catalog_counts_nothing(spark: SparkSession) -> None:
    expected = PlanCounts(catalog=dict.fromkeys(comparison.HELD, 0))
    assert comparison.count(_planned(spark, []), 0, "r1") == expected


#: name -> (result, the key it may be used by in run r1, and in r1 when it was told to score again).
STAGED: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "own": ({"run_id": "r1"}, "planned own", "planned own"),
    "own failure": ({"run_id": "r1", "status": "image_io"}, "planned own failure", "planned own failure"),
    "other": ({}, "scored other", None),
    "other corrupt": ({"status": "image_corrupt"}, "scored other corrupt", None),
    "other failure": ({"status": "image_io"}, None, None),
    "other same bytes": ({"unchanged": True, "status": None}, "scored other same bytes", None),
    "early": ({"fingerprint": "twice"}, None, None),
    "late": ({"fingerprint": "twice", "tagged_at": TIME + timedelta(seconds=1)}, "twice", None),
    "scored": ({"fingerprint": "both"}, "both", None),
    "same bytes": (
        {"planned_fingerprint": "both", "run_id": "r1", "unchanged": True, "tagged_at": TIME + timedelta(seconds=1)},
        None,
        "both",
    ),
}


@pytest.mark.parametrize("own_alone", [False, True])
def test_each_usable_result_is_found_by_one_key(spark: SparkSession, own_alone: bool) -> None:
    rows = [
        {"planned_fingerprint": f"planned {name}", "fingerprint": f"scored {name}", "run_id": "r0", "error": name} | row
        for name, (row, _, _) in STAGED.items()
    ]
    found = comparison.usable_results(results(spark, *rows), "r1", own_alone)
    assert found.columns[-1] == "for_fingerprint"
    keys = [(row["for_fingerprint"], row["error"]) for row in found.collect()]
    expected = {name: case[2] if own_alone else case[1] for name, case in STAGED.items()}
    assert sorted(keys) == sorted((key, name) for name, key in expected.items() if key)
