"""What another bundle would change: which rows are compared, the flips, the decisions, and what a night would cost."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from fashion_udf.model.bundle import Bundle
from fashion_udf.pipeline import shadow_report
from fashion_udf.pipeline.shadow_report import Cost, Flip, Report, Scoring
from tests import fake_bundle

SCORING = Scoring("v2", "openvino", "int8")
COST = Cost(table_rows=36_000, scored_rows=50, seconds=5.0, cores=2)

_SIDE = {"category": "Tops", "decision": "auto", "confidence": 0.75, "novelty": 0.125, "image_sha256": "s", "text": "t"}


def _bundle(version: str, *labels: str) -> Bundle:
    return Bundle(fake_bundle.manifest().model_copy(update={"labels": list(labels)}), {}, version)


def _report(*rows: dict[str, Any], cost: Cost = COST) -> Report:
    """The report of rows; what a row does not state is that of a sound top, before and after."""
    usual = {f"{name}_{side}": value for name, value in _SIDE.items() for side in ("before", "after")}
    whole = [
        {"product_id": f"p{number}", "model_version": "v1", "status": "ok", **usual, **row}
        for number, row in enumerate(rows)
    ]
    present, new = _bundle("v1", "Tops", "Hats", "Kites"), _bundle("v2", "Tops", "Hats", "Caps", "Belts")
    return shadow_report.report(pd.DataFrame(whole), present, new, SCORING, cost)


ABSENT = {"status": None} | {f"{name}_after": None for name in _SIDE}


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({}, None),
        ({"image_sha256_before": None, "image_sha256_after": None, "status": "image_missing"}, None),
        ({"status": "image_corrupt"}, None),
        (ABSENT, "not_in_catalog"),
        ({"image_sha256_after": None, "status": "image_missing"}, "photo_gone"),
        ({"image_sha256_after": None, "status": "image_none", "text_after": "other"}, "photo_gone"),
        ({"image_sha256_after": "other"}, "content_changed"),
        ({"image_sha256_before": None}, "content_changed"),
        ({"text_after": "other"}, "content_changed"),
        ({"category_before": None}, "not_scored"),
        ({"category_after": None, "status": "not_scored"}, "not_scored"),
    ],
)
def test_rows_are_compared_where_both_models_saw_the_same_product(row: dict[str, Any], cause: str | None) -> None:
    found = _report(row, {})
    assert (found.sampled, found.compared) == (2, 1 if cause else 2)
    assert found.not_compared == ({cause: 1} if cause else {})


def test_flips_are_pairs_with_the_first_three_ids_most_rows_first() -> None:
    hats = {"category_after": "Hats", "decision_after": "review"}
    rows = [{**hats, "product_id": name} for name in ("d", "b", "c", "a")]
    found = _report({}, *rows, {"category_before": "Kites", "product_id": "k"}, {**ABSENT, "category_before": "Hats"})
    assert found.flips == [Flip("Tops", "Hats", 4, ["a", "b", "c"]), Flip("Kites", "Tops", 1, ["k"])]
    assert (found.flipped, found.compared) == (5, 6)


def test_decisions_are_counted_before_and_after() -> None:
    found = _report({}, {"decision_after": "review"}, {"decision_before": "abstain"}, {"decision_before": "abstain"})
    assert found.decisions == {
        "auto": {"auto": 1, "review": 1, "abstain": 0},
        "review": {"auto": 0, "review": 0, "abstain": 0},
        "abstain": {"auto": 2, "review": 0, "abstain": 0},
    }


def test_means_are_of_the_compared_rows_and_of_those_that_have_the_figure() -> None:
    found = _report(
        {"confidence_after": 0.25, "novelty_before": None},
        {"novelty_before": None},
        {**ABSENT, "confidence_before": 0.0},
    )
    assert found.confidence == {"before": 0.75, "after": 0.5}
    assert found.novelty == {"before": None, "after": 0.125}, "release 0.1 published no novelty"


def test_categories_of_one_bundle_alone_are_named() -> None:
    found = _report({})
    assert (found.lost, found.added) == (["Kites"], ["Belts", "Caps"])


def test_a_night_costs_what_the_sample_does_for_every_row_of_the_table() -> None:
    tree = COST.as_dict()
    assert (tree["rows_per_second"], tree["night_seconds"], tree["night_core_seconds"]) == (10.0, 3600.0, 7200.0)
    assert Cost(10, 0, 1.0, 2).as_dict()["night_core_seconds"] is None


def test_the_record_is_json_and_names_every_figure() -> None:
    tree = json.loads(json.dumps(_report({}, {"category_after": "Hats"}).as_dict(), allow_nan=False))
    assert tree["flips"] == [{"from": "Tops", "to": "Hats", "rows": 1, "examples": ["p1"]}]
    assert (tree["flipped"], tree["models"], tree["scoring"]["precision"]) == (1, {"v1": 2}, "int8")
    assert tree["cost"]["night_seconds"] == 3600.0


def test_the_text_tells_shares_flips_and_cost() -> None:
    found = _report(
        {"decision_after": "review"}, {"category_after": "Hats", "model_version": "v0"}, {**ABSENT, "product_id": "x"}
    )
    assert shadow_report.text(found) == (
        "bundle v2 with openvino int8, compared with the published rows\n"
        "1 of 3 rows were published by another model than the configuration's, v1\n"
        "\n"
        "rows                             share\n"
        "----------------------------  -  -----------------\n"
        "sampled                       3  100.0%\n"
        "not compared: not_in_catalog  1  33.3%\n"
        "compared                      2  66.7%\n"
        "category changed              1  50.0% of compared\n"
        "\n"
        "mean        before  after\n"
        "----------  ------  -----\n"
        "confidence   0.750  0.750\n"
        "novelty      0.125  0.125\n"
        "\n"
        "decision  before  share   after  share\n"
        "--------  ------  ------  -----  -----\n"
        "auto           2  100.0%      1  50.0%\n"
        "review         0  0.0%        1  50.0%\n"
        "abstain        0  0.0%        0  0.0%\n"
        "\n"
        "before, and after:  auto  review  abstain\n"
        "------------------  ----  ------  -------\n"
        "auto                   1       1        0\n"
        "review                 0       0        0\n"
        "abstain                0       0        0\n"
        "\n"
        "from  to    rows  such as\n"
        "----  ----  ----  -------\n"
        "Tops  Hats     1  p1\n"
        "\n"
        "categories only of the present bundle\n"
        "-------------------------------------\n"
        "Kites\n"
        "\n"
        "categories only of the new bundle\n"
        "---------------------------------\n"
        "Belts\n"
        "Caps\n"
        "\n"
        "10.0 rows/s on 2 cores, with the start of the workers: to score all 36000 rows takes 1 h 00 min on "
        "them, 2 h 00 min of one core\n"
    )


def test_the_text_shows_the_twenty_largest_flips_and_no_share_of_nothing() -> None:
    found = _report(*({"category_after": f"c{number:02d}"} for number in range(25)))
    assert len(found.flips) == 25
    assert [name in shadow_report.text(found) for name in ("c00", "c19", "c20")] == [True, True, False]
    nothing = shadow_report.text(_report(ABSENT, cost=Cost(36_000, 0, 5.0, 2)))
    assert "category changed              0  - of compared\n" in nothing
    assert nothing.endswith("nothing was scored\n")
