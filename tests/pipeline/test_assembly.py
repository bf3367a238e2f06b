"""The next table: untouched rows as they were, results in their place, overrides and label stability on top."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from fashion_udf.pipeline import assembly
from fashion_udf.schema import TAGS
from tests.tag_rows import TIME, UNIT, results, tags

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

OLD: dict[str, Any] = {"fingerprint": "old", "run_id": "r0", "image_sha256": "old", "previous_category": "Belts"}
#: An embedding no two roundings of which are equal.
VECTOR = [0.1, *UNIT[1:-1], 1e-45]
HATS: dict[str, Any] = {
    "model_category": "Hats",
    "confidence": 0.5,
    "top_categories": [("Hats", 0.5), ("Tops", 0.375)],
    "embedding": UNIT[::-1],
    "fingerprint": "scored",
    "image_sha256": "scored",
    "model_version": "v2",
    "run_id": "r1",
    "tagged_at": TIME + timedelta(days=1),
}
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
    "lasting failure": ({}, "score", {"status": "image_corrupt", "error": "no JPEG"}),
    "same bytes": ({"embedding": VECTOR}, "score", {"unchanged": True, "model_category": None, "status": None}),
    "lost": ({}, "score", None),
}


def _inputs(
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


def _assembled(
    spark: SparkSession,
    cases: dict[str, tuple[Any, Any, Any]],
    margin: float | None,
    reason: str | None,
    left_rows: int = assembly.FEW_ROWS,
) -> tuple[DataFrame, DataFrame]:
    """Return the next table and the published one."""
    planned, previous, usable = _inputs(spark, cases, reason)
    gone = spark.createDataFrame([("gone",)], "product_id string")
    return assembly.assemble(planned, previous, usable, gone, margin, left_rows), previous


def _by_id(table: DataFrame) -> dict[str, Row]:
    rows = table.collect()
    found = {row["product_id"]: row for row in rows}
    assert len(rows) == len(found), "each product once"
    return found


@pytest.fixture(scope="module", params=[assembly.FEW_ROWS, assembly.FEW_ROWS + 1], ids=["few", "many"])
def cases(request: pytest.FixtureRequest, spark: SparkSession) -> tuple[dict[str, Row], dict[str, Row]]:
    """The next table and the published one, without a margin, by either kind of join."""
    table, previous = _assembled(spark, CASES, None, "text", request.param)
    assert table.columns == TAGS.names
    return _by_id(table), _by_id(previous)


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
    assert cases[0]["same bytes"].asDict() == {**cases[1]["same bytes"].asDict(), "fingerprint": "scored"}


def test_a_large_published_table_is_not_shuffled_for_a_few_products(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", -1)  # as if no side were known to be small
    try:
        table, _ = _assembled(spark, CASES, None, "text")
        plan = table._jdf.queryExecution().optimizedPlan().toString()
    finally:
        spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")
    hints = [line for line in plan.splitlines() if "Join Left" in line]
    assert sum("strategy=broadcast" in line for line in hints) == 2, plan


def test_products_that_were_looked_at_and_stay_are_told_with_the_cause(spark: SparkSession) -> None:
    unchanged = assembly.unchanged(*_inputs(spark, CASES, "text")).collect()
    assert {row["product_id"]: (row["cause"], row["error"]) for row in unchanged} == {
        "failure over good": ("image_io", "no answer"),
        "failure over corrupt": ("image_timeout", None),
        "same bytes": ("same_photo", None),
    }
    assert len(unchanged) == 3


@pytest.mark.parametrize("name", ["new", "changed"])
def test_a_scored_row_is_its_result(cases: Tables, name: str) -> None:
    row = cases[0][name].asDict(recursive=True)
    assert {**row, "tagged_at": row["tagged_at"].astimezone(UTC)} == {
        **HATS,
        "product_id": name,
        "category": "Hats",
        "category_source": "model",
        "top_categories": [{"category": "Hats", "confidence": 0.5}, {"category": "Tops", "confidence": 0.375}],
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


def _best(hats: float, tops: float, other: str = "Tops") -> dict[str, Any]:
    return {"confidence": hats, "top_categories": [("Hats", hats), (other, tops)]}


KITES: dict[str, Any] = {"category": "Kites", "category_source": "override"}
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


def _shown(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("category", "category_source", "confidence", "previous_category"))


def test_a_new_model_changes_a_category_only_beyond_the_margin(spark: SparkSession) -> None:
    rows = {name: (case[0], "score", case[1]) for name, case in STABLE.items()}
    found = _by_id(_assembled(spark, rows, 0.25, "model")[0])
    assert {name: _shown(row) for name, row in found.items()} == {name: case[2:] for name, case in STABLE.items()}
    assert {row["model_category"] for row in found.values()} == {"Hats"}, "what the model says is told all the same"


def test_a_change_of_content_follows_the_model_whatever_the_margin(spark: SparkSession) -> None:
    reasons = ("text", "image", "forced", "retry", "new")
    near = _best(0.5, 0.375)
    found = _by_id(_assembled(spark, {name: ({}, "score", near) for name in reasons}, 0.25, None)[0])
    assert {name: _shown(row) for name, row in found.items()} == dict.fromkeys(reasons, ("Hats", "model", 0.5, "Tops"))


def test_without_a_margin_a_new_model_decides(spark: SparkSession) -> None:
    table = _assembled(spark, {"near": ({}, "score", _best(0.5, 0.375))}, None, "model")[0]
    assert _shown(_by_id(table)["near"]) == ("Hats", "model", 0.5, "Tops")


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
    table, previous = _assembled(spark, rows, None, "image")
    overrides = spark.createDataFrame([*GIVEN.items()], "product_id string, category string")
    overridden = assembly.override(table, overrides)
    assert overridden.columns == TAGS.names
    found, before = _by_id(overridden), _by_id(previous)
    assert {name: _shown(row) for name, row in found.items()} == {name: case[2:] for name, case in OVERRIDDEN.items()}
    assert found["untouched"] == before["untouched"] and found["kept"] == before["kept"]
    assert found["carried"]["model_category"] == "Tops" and found["scored"]["model_category"] == "Hats"
    # Those given, but for "scored", which is new, and "scored again", which is so already; and the three withdrawn.
    assert assembly.override_changes(previous, overrides) == len({*GIVEN} - {"scored", "scored again", "unknown"}) + 3


def test_overrides_that_are_published_already_change_nothing(spark: SparkSession) -> None:
    previous = tags(spark, {"product_id": "a", **KITES}, {"product_id": "b"})
    given = spark.createDataFrame([("a", "Kites"), ("c", "Hats")], "product_id string, category string")
    assert assembly.override_changes(previous, given) == 0
    none = spark.createDataFrame([], "product_id string, category string")
    assert assembly.override_changes(previous, none) == 1
    assert assembly.override_changes(tags(spark), given) == 0


def test_a_table_is_written_in_files_that_cores_share_and_embeddings_without_a_dictionary(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tags(spark, *({"product_id": f"p{number}", "embedding": UNIT} for number in range(6))).repartition(6)
    table.write.parquet(str(tmp_path / "source"))
    sources = spark.read.parquet(str(tmp_path / "source")).inputFiles()
    size = sum(file.stat().st_size for file in (tmp_path / "source").glob("*.parquet"))
    for files in (1, 3):
        monkeypatch.setattr(assembly, "FILE_BYTES", size // files)
        target = tmp_path / f"in {files}"
        assembly.write(table, sources, target)
        assert len(sorted(target.glob("*.parquet"))) == files
    (written,) = (tmp_path / "in 1").glob("*.parquet")
    group = pq.ParquetFile(written).metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    with_dictionary = {column.path_in_schema for column in columns if column.has_dictionary_page}
    # Of rows as few as in the other files Parquet itself drops a dictionary.
    assert "category" in with_dictionary and "embedding.list.element" not in with_dictionary
