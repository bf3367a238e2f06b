"""The next table: untouched rows as they were, results in their place, and label stability on top."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from fashion_udf.pipeline import assembly
from fashion_udf.schema import TAGS
from tests.pipeline.assembled import HATS, KITES, VECTOR, assembled, by_id, family, inputs, shown
from tests.tables import at
from tests.tag_rows import UNIT, tags

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

#: product -> (its published row, action, its result); every result is found by the name of the product.
CASES: dict[str, tuple[dict[str, Any] | None, str | None, dict[str, Any] | None]] = {
    "carried": ({"embedding": VECTOR, "confidence": 0.1, "error": "x"}, "carry", None),
    "carried empty": ({"embedding": None, "top_categories": None, "confidence": None}, "carry", None),
    "not looked at": ({"embedding": VECTOR}, None, None),
    "gone": ({}, None, None),
    "new": (None, "score", {}),
    "new failure": (None, "score", {"status": "image_io"}),
    "new blank": (None, "score", {"model_category": None, "confidence": None, "top_categories": None}),
    "changed": ({}, "score", {}),
    "as before": ({"category": "Hats"}, "staged", {}),
    "from nothing": ({"category": None}, "score", {}),
    "failure over good": ({"embedding": VECTOR}, "score", {"status": "image_io", "error": "no answer"}),
    "failure over corrupt": ({"status": "image_corrupt"}, "score", {"status": "image_timeout"}),
    "failure over failure": ({"status": "image_timeout"}, "score", {"status": "image_io"}),
    "failure once more": ({"status": "image_timeout", "fingerprint": "scored"}, "score", {"status": "image_io"}),
    "lasting failure": ({}, "score", {"status": "image_corrupt", "error": "no JPEG"}),
    "same bytes": ({"embedding": VECTOR}, "score", {"unchanged": True, "model_category": None, "status": None}),
    "same photo": ({"fingerprint": "scored"}, "score", {"unchanged": True}),
    "first validator": ({"fingerprint": "scored", "image_validator": None}, "score", {"unchanged": True}),
    "no validator": ({"fingerprint": "scored"}, "score", {"unchanged": True, "image_validator": None}),
    "lost": ({}, "score", None),
}


@pytest.fixture(scope="module", params=[assembly.FEW_ROWS, assembly.FEW_ROWS + 1], ids=["few", "many"])
def cases(request: pytest.FixtureRequest, spark: SparkSession) -> tuple[dict[str, Row], dict[str, Row]]:
    """The next table and the published one, without a margin, by either kind of join."""
    table, previous = assembled(spark, CASES, None, "text", request.param)
    assert table.columns == TAGS.names
    return by_id(table), by_id(previous)


Tables = tuple[dict[str, "Row"], dict[str, "Row"]]


def test_every_product_of_the_plan_is_there_but_for_one_without_a_result(cases: Tables) -> None:
    assert {*cases[0]} == {*CASES} - {"gone", "lost"}


@pytest.mark.parametrize(
    "name", ["carried", "carried empty", "not looked at", "failure over good", "failure over corrupt"]
)
def test_a_row_that_is_kept_is_the_published_one_to_the_bit(cases: Tables, name: str) -> None:
    assert cases[0][name] == cases[1][name]
    assert cases[0][name]["fingerprint"] == "old", "a failure is tried again by the next plan"


def test_a_row_whose_photo_has_the_same_bytes_is_kept_with_its_new_fingerprint(cases: Tables) -> None:
    new = {"fingerprint": "scored", "image_validator": '"scored"'}
    assert cases[0]["same bytes"].asDict() == {**cases[1]["same bytes"].asDict(), **new}


def test_a_host_that_names_no_validator_takes_none_away(cases: Tables) -> None:
    found = {name: cases[0][name]["image_validator"] for name in ("same photo", "first validator", "no validator")}
    assert found == {"same photo": '"scored"', "first validator": '"scored"', "no validator": '"old"'}


def test_a_large_published_table_is_not_shuffled_for_a_few_products(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", -1)  # as if no side were known to be small
    try:
        table, _ = assembled(spark, CASES, None, "text")
        plan = table._jdf.queryExecution().optimizedPlan().toString()
    finally:
        spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")
    hints = [line for line in plan.splitlines() if "Join Left" in line]
    assert sum("strategy=broadcast" in line for line in hints) == 2, plan


def test_products_that_were_looked_at_and_stay_are_told_with_the_cause(spark: SparkSession) -> None:
    unchanged = assembly.unchanged(*inputs(spark, CASES, "text")).collect()
    assert {row["product_id"]: (row["cause"], row["error"]) for row in unchanged} == {
        "failure over good": ("image_io", "no answer"),
        "failure over corrupt": ("image_timeout", None),
        "failure once more": ("image_io", None),
        **dict.fromkeys(("same bytes", "same photo", "first validator", "no validator"), ("same_photo", None)),
    }
    assert len(unchanged) == 7


@pytest.mark.parametrize(
    ("names", "stay"),
    [
        (["failure over good", "failure over corrupt", "failure once more", "not looked at"], True),
        (["failure over good", "failure over failure"], False),
        (["failure over good", "new failure"], False),
        (["failure over good", "same bytes"], False),  # its fingerprint is a new one
        (["same photo", "no validator"], True),
        (["same photo", "first validator"], False),  # the next recheck asks by it
        (["failure over good", "changed"], False),
        (["failure over good", "lost"], False),  # the row ledger must notice
    ],
)
def test_a_table_stays_only_if_each_row_that_was_looked_at_does(
    spark: SparkSession, names: list[str], stay: bool
) -> None:
    assert assembly.leaves_all(*inputs(spark, {name: CASES[name] for name in names}, "text")) is stay


@pytest.mark.parametrize("name", ["new", "changed"])
def test_a_scored_row_is_its_result(cases: Tables, name: str) -> None:
    row = cases[0][name].asDict(recursive=True)
    assert {**row, "tagged_at": row["tagged_at"].astimezone(UTC)} == {
        **HATS,
        "product_id": name,
        "category": "Hats",
        "category_source": "model",
        "top_categories": [{"category": "Hats", "confidence": 0.5}, {"category": "Tops", "confidence": 0.375}],
        "attributes": [{"name": "colour", "value": "Blue", "confidence": 0.75, "decision": "auto"}],
        "decision": "auto",
        "modality": "both",
        "status": "ok",
        "error": None,
        "reason": "text",
        "previous_category": "Tops" if name == "changed" else None,
    }


def test_the_previous_category_is_told_only_where_it_was_another(cases: Tables) -> None:
    told = {name: cases[0][name]["previous_category"] for name in ("as before", "from nothing", "lasting failure")}
    assert told == {"as before": None, "from nothing": None, "lasting failure": "Tops"}


def test_a_failure_that_may_pass_is_published_only_where_there_is_no_better_row(cases: Tables) -> None:
    found = {
        name: (cases[0][name]["status"], cases[0][name]["fingerprint"])
        for name in ("new failure", "failure over failure")
    }
    assert found == {"new failure": ("image_io", "scored"), "failure over failure": ("image_io", "scored")}


def test_a_failure_that_lasts_replaces_the_row(cases: Tables) -> None:
    row = cases[0]["lasting failure"]
    assert (row["status"], row["error"], row["category"]) == ("image_corrupt", "no JPEG", "Hats")


def test_a_row_without_text_or_photo_has_no_category(cases: Tables) -> None:
    row = cases[0]["new blank"]
    assert (row["category"], row["confidence"], row["category_source"]) == (None, None, "model")


def test_scored_products_with_an_unreadable_text_are_named(spark: SparkSession) -> None:
    unread = {"text_unreadable": True}
    rows: dict[str, Any] = {
        "scored": ({}, "score", {**unread, "modality": "text"}),
        "staged": (None, "staged", unread),
        "readable": ({}, "score", {"text_unreadable": False}),
        "of release 0.1": ({}, "staged", {"text_unreadable": None}),
        "same photo": ({}, "score", {**unread, "unchanged": True}),
        "carried": ({}, "carry", unread),
    }
    planned, _, usable = inputs(spark, rows, "text")
    found = assembly.unreadable(planned, usable).collect()
    assert sorted((row["product_id"], row["modality"]) for row in found) == [("scored", "text"), ("staged", "both")]


def _best(hats: float, tops: float, other: str = "Tops") -> dict[str, Any]:
    return {"confidence": hats, "top_categories": [("Hats", hats), (other, tops)]}


#: product -> (its published row, its result, category, source, confidence, previous category), for a margin of 0.25.
STABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str, str, float, str | None]] = {
    "near": ({}, _best(0.5, 0.375), "Tops", "kept", 0.375, None),
    "at the margin": ({}, _best(0.5, 0.25), "Tops", "kept", 0.25, None),
    "far": ({}, _best(0.5, 0.1875), "Hats", "model", 0.5, "Tops"),
    "not among the best": ({}, _best(0.5, 0.375, "Shoes"), "Hats", "model", 0.5, "Tops"),
    "kept before": (
        {"category_source": "kept", "model_category": "Hats"}, _best(0.5, 0.375), "Tops", "kept", 0.375, None,
    ),
    "overridden, near": (KITES, _best(0.5, 0.375), "Tops", "kept", 0.375, "Kites"),
    "overridden, far": (KITES, _best(0.75, 0.125), "Hats", "model", 0.75, "Kites"),
    "same": ({"category": "Hats"}, _best(0.5, 0.375), "Hats", "model", 0.5, None),
    "from nothing": ({"category": None}, _best(0.5, 0.375), "Hats", "model", 0.5, None),
}  # fmt: skip


def test_a_new_model_changes_a_category_only_beyond_the_margin(spark: SparkSession) -> None:
    rows = {name: (case[0], "score", case[1]) for name, case in STABLE.items()}
    found = by_id(assembled(spark, rows, 0.25, "model")[0])
    assert {name: shown(row) for name, row in found.items()} == {name: case[2:] for name, case in STABLE.items()}
    assert {row["model_category"] for row in found.values()} == {"Hats"}, "what the model says is told all the same"


def test_a_category_that_is_kept_has_its_own_family_and_the_product_s_other_answers_are_new(
    spark: SparkSession,
) -> None:
    near = _best(0.5, 0.375)
    caps = {"category": "Caps", "model_category": "Caps"}
    rows = {
        "other family": ({}, "score", near),
        "same family": (caps, "score", _best(0.5, 0.375, "Caps")),
        "unknown category": ({"category": "Kites"}, "score", _best(0.5, 0.375, "Kites")),
        "not kept": ({}, "score", _best(0.5, 0.125)),
    }
    found = by_id(assembled(spark, rows, 0.25, "model")[0])
    assert {name: (row["category"], *family(row)) for name, row in found.items()} == {
        "other family": ("Tops", "Upper garments", 0.375, "auto"),
        "same family": ("Caps", "Headwear", 0.625, "review"),
        "unknown category": ("Kites", "Kites", 0.375, "auto"),
        "not kept": ("Hats", "Headwear", 0.625, "review"),
    }
    assert {row["novelty"] for row in found.values()} == {0.25}
    assert {row["attributes"][0]["value"] for row in found.values()} == {"Blue"}


def test_a_carried_row_of_a_release_without_families_stays_without_them(spark: SparkSession) -> None:
    nothing = dict.fromkeys(("parent_category", "parent_confidence", "parent_decision", "novelty", "attributes"))
    rows = {"carried": (nothing, "carry", None), "failed": (nothing, "score", {"status": "image_io"})}
    found = by_id(assembled(spark, rows, 0.25, "model")[0])
    assert [{name: row[name] for name in nothing} for row in found.values()] == [nothing] * 2


def test_a_change_of_content_follows_the_model_whatever_the_margin(spark: SparkSession) -> None:
    reasons = ("text", "image", "forced", "retry", "new")
    near = _best(0.5, 0.375)
    found = by_id(assembled(spark, {name: ({}, "score", near) for name in reasons}, 0.25, None)[0])
    assert {name: shown(row) for name, row in found.items()} == dict.fromkeys(reasons, ("Hats", "model", 0.5, "Tops"))


def test_without_a_margin_a_new_model_decides(spark: SparkSession) -> None:
    table = assembled(spark, {"near": ({}, "score", _best(0.5, 0.375))}, None, "model")[0]
    assert shown(by_id(table)["near"]) == ("Hats", "model", 0.5, "Tops")


def test_a_table_is_written_in_files_that_cores_share_and_embeddings_without_a_dictionary(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tags(spark, *({"product_id": f"p{number}", "embedding": UNIT} for number in range(6))).repartition(6)
    table.write.parquet(str(tmp_path / "source"))
    size = sum(file.stat().st_size for file in (tmp_path / "source").glob("*.parquet"))
    for files in (1, 3):
        monkeypatch.setattr(assembly, "FILE_BYTES", size // files)
        target = tmp_path / f"in {files}"
        assembly.write(table, size, at(target))
        assert len(sorted(target.glob("*.parquet"))) == files
    (written,) = (tmp_path / "in 1").glob("*.parquet")
    group = pq.ParquetFile(written).metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    with_dictionary = {column.path_in_schema for column in columns if column.has_dictionary_page}
    # Of rows as few as in the other files Parquet itself drops a dictionary.
    assert "category" in with_dictionary and "embedding.list.element" not in with_dictionary
