"""The gates: each passes at its threshold and refuses just beyond it, in words that say what to look at."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.config import Gates
from fashion_udf.pipeline import gates
from fashion_udf.pipeline.audit import Audit
from fashion_udf.pipeline.gates import Broken

#: What the tests state is not what a release may choose to begin with.
LIMITS = Gates(max_failures=0.1, max_row_drop=0.1, max_one_category=0.5, max_shift=0.1, max_flips=0.1)
SOUND = Audit(
    rows=100,
    ids=100,
    bad_embeddings=0,
    statuses={"ok": 100},
    decisions={"auto": 100},
    modalities={"both": 100},
    categories={"Tops": 50, "Shoes": 50},
    previous_rows=100,
    previous_categories={"Tops": 50, "Shoes": 50},
    flips={},
    common=100,
    overrides=[],
)


def _broken(accepted: int | None = None, gates_: Gates | None = None, **changes: Any) -> list[Broken]:
    found = replace(SOUND, **changes)
    return gates.broken(found, found.rows if accepted is None else accepted, gates_ or LIMITS)


def _refused(pattern: str, gate: str, **changes: Any) -> None:
    (found,) = _broken(**changes)
    assert found.gate == gate
    assert re.fullmatch(pattern, found.message), found.message


def test_a_table_like_the_last_one_passes() -> None:
    assert _broken() == []


@pytest.mark.parametrize(("rows", "ids"), [(99, 99), (101, 101), (100, 99), (101, 100)])
def test_a_row_lost_or_doubled_is_refused_in_any_table(rows: int, ids: int) -> None:
    _refused(
        f"Expected 100 rows, one for each product. Received: {rows} rows with {ids} different ids",
        "ledger",
        accepted=100,
        rows=rows,
        ids=ids,
    )


def test_one_bad_embedding_is_refused() -> None:
    _refused(
        r"Expected embeddings of 256 finite numbers and unit length\. Received: 1 invalid ones",
        "embeddings",
        bad_embeddings=1,
    )


def test_rows_may_drop_by_the_threshold_and_not_by_one_more() -> None:
    assert _broken(rows=90, ids=90, previous_rows=100, categories={"Tops": 45, "Shoes": 45}) == []
    _refused(
        r"Expected at most 10\.0% fewer rows than published \(gates\.max_row_drop\)\. "
        r"Received: 89, 11\.0% fewer than 100",
        "row_drop",
        rows=89,
        ids=89,
        categories={"Tops": 45, "Shoes": 44},
    )


def test_more_rows_than_yesterday_are_no_drop() -> None:
    assert _broken(rows=1000, ids=1000, categories={"Tops": 500, "Shoes": 500}, statuses={"ok": 1000}) == []


def test_a_small_table_may_not_drop_either() -> None:
    assert [gate.gate for gate in _broken(rows=0, ids=0, previous_rows=2, categories={}, statuses={})] == ["row_drop"]


def test_failures_may_reach_the_threshold_and_the_message_names_the_most_frequent_first() -> None:
    assert _broken(statuses={"ok": 90, "image_io": 4, "image_corrupt": 6}) == []
    _refused(
        r"Expected at most 10\.0% of the rows to fail \(gates\.max_failures\)\. "
        r"Received: 11\.0%: image_corrupt 6, image_io 5",
        "failures",
        statuses={"ok": 89, "image_io": 5, "image_corrupt": 6},
    )


def test_a_product_without_photo_or_text_is_no_failure() -> None:
    assert _broken(statuses={"image_none": 50, "text_missing": 50}) == []


def test_a_category_may_hold_the_threshold_and_not_more() -> None:
    usual = {"Tops": 45, "Shoes": 55}
    assert (
        _broken(categories={"Tops": 50, "Shoes": 50}, previous_categories={"Tops": 45, "Shoes": 45, "Hats": 10}) == []
    )
    _refused(
        r"Expected no category with more than 50\.0% of the rows \(gates\.max_one_category\)\. "
        r"Received: 'Tops' with 51\.0%",
        "one_category",
        categories={"Tops": 51, "Shoes": 49},
        previous_categories={"Tops": 45, "Shoes": 45, "Hats": 10},
    )
    assert _broken(categories={"Tops": 45, "Shoes": 55}, previous_categories=usual) == []


def test_a_first_table_may_be_of_one_category() -> None:
    assert _broken(categories={"Tops": 100}, previous_rows=None, previous_categories={}, common=0) == []


def test_a_shop_that_always_had_one_category_has_not_collapsed() -> None:
    assert _broken(categories={"Tops": 90, "Shoes": 10}, previous_categories={"Tops": 85, "Shoes": 15}) == []


def test_shares_of_categories_may_move_by_the_threshold() -> None:
    assert _broken(categories={"Tops": 50, "Shoes": 40, "Hats": 10}) == []
    _refused(
        r"Expected the shares of categories to move by at most 10\.0% \(gates\.max_shift\)\. "
        r"Received: 11\.0%, most of all 'Hats' \+11\.0%, 'Shoes' -11\.0%",
        "category_shift",
        categories={"Tops": 50, "Shoes": 39, "Hats": 11},
    )


def test_rows_that_lose_their_category_are_a_shift() -> None:
    assert _broken(categories={"Tops": 45, "Shoes": 45}) == []
    _refused(
        r".*Received: 12\.0%, most of all None \+12\.0%, .*", "category_shift", categories={"Tops": 44, "Shoes": 44}
    )


def test_a_table_of_another_size_with_the_same_shares_has_not_shifted() -> None:
    assert _broken(rows=300, ids=300, categories={"Tops": 150, "Shoes": 150}, statuses={"ok": 300}) == []


def test_products_may_change_category_up_to_the_threshold_and_the_worst_pairs_are_named() -> None:
    flips = {("Tops", "Shoes"): 5, ("Shoes", "Tops"): 5}
    assert _broken(flips=flips) == []
    flips = {("a", "b"): 1, ("a", "c"): 1, ("a", "d"): 1, ("a", "e"): 1, ("a", "f"): 1, ("Tops", "Shoes"): 6}
    _refused(
        r"Expected at most 10\.0% of the products to change category \(gates\.max_flips\)\. "
        r"Received: 11\.0%, most of all 'Tops' to 'Shoes' 6, 'a' to 'b' 1, 'a' to 'c' 1, 'a' to 'd' 1, 'a' to 'e' 1",
        "flips",
        flips=flips,
    )


def test_flips_are_a_share_of_the_products_in_both_tables() -> None:
    assert [gate.gate for gate in _broken(flips={("Tops", "Shoes"): 11}, common=101)] == ["flips"]
    assert _broken(flips={("Tops", "Shoes"): 11}, common=110) == []


def _failed_and_flipped(rows: int, by: int) -> dict[str, Any]:
    """Counts of a table whose rows were all Tops: of them `by` failed, and `by` are Hats now."""
    return {
        "rows": rows,
        "ids": rows,
        "previous_rows": rows,
        "common": rows,
        "statuses": {"ok": rows - by, "image_io": by},
        "categories": {"Tops": rows - by, "Hats": by},
        "previous_categories": {"Tops": rows},
        "flips": {("Tops", "Hats"): by},
    }


@pytest.mark.parametrize("rows", [4, 10, 40, 99])
def test_a_small_table_may_exceed_a_limit_by_three_rows_and_not_by_more(rows: int) -> None:
    def refused(by: int) -> set[str]:
        return {gate.gate for gate in _broken(**_failed_and_flipped(rows, by), without_category=by)}

    most = int(rows * 0.1 + 3)
    assert refused(most) == set()
    assert refused(most + 1) == {"failures", "category_shift", "flips", "without_category"}


def test_a_small_table_is_no_measure_for_a_large_one() -> None:
    assert _broken(previous_rows=3, previous_categories={"Hats": 3}, common=0) == []


def test_a_product_with_neither_text_nor_photo_counts_as_failed() -> None:
    assert _broken(statuses={"image_none": 100}, without_input=10) == []
    _refused(
        r"Expected at most 10\.0% of the rows to fail \(gates\.max_failures\)\. "
        r"Received: 12\.0%: neither text nor photo 9, image_io 3",
        "failures",
        statuses={"image_none": 97, "image_io": 3},
        without_input=9,
    )


def test_rows_without_a_category_may_reach_the_threshold() -> None:
    assert _broken(without_category=10, previous_rows=None) == []
    _refused(
        r"Expected at most 10\.0% of the rows without a category \(gates\.max_without_category\)\. "
        r"Received: 11\.0%: 11 of 100",
        "without_category",
        without_category=11,
        previous_rows=None,
    )


def test_people_may_withdraw_some_decisions_and_all_of_them_only_where_a_person_accepts() -> None:
    assert _broken(decided_before=200, withdrawn=20) == []
    assert _broken(decided_before=20, withdrawn=5) == [], "five is three more than two"
    for before, withdrawn, share in ((200, 21, "10.5%"), (20, 6, "30.0%"), (1, 1, "100.0%")):
        _refused(
            r"Expected at most 10\.0% of people's decisions to be withdrawn \(gates\.max_withdrawn\)\. "
            rf"Received: {re.escape(share)}: {withdrawn} of {before}\. Check that overrides\.path holds all decisions",
            "overrides",
            decided_before=before,
            withdrawn=withdrawn,
        )
    assert _broken(decided_before=1, withdrawn=1, gates_=Gates(max_withdrawn=1)) == []


def test_a_first_table_is_compared_with_nothing() -> None:
    first: dict[str, Any] = {"previous_rows": None, "previous_categories": {}, "common": 0}
    assert _broken(**first, categories={"Tops": 100}) == []
    assert _broken(**{**first, "previous_rows": 0}) == []


def test_an_empty_first_table_passes_and_an_emptied_one_needs_a_word() -> None:
    empty: dict[str, Any] = {"rows": 0, "ids": 0, "statuses": {}, "categories": {}, "common": 0}
    assert _broken(**empty, previous_rows=None, previous_categories={}) == []
    assert _broken(**empty, previous_rows=0, previous_categories={}) == []
    _refused(r".*Received: 0, 100\.0% fewer than 100", "row_drop", **empty)
    assert _broken(**empty, gates_=Gates(max_row_drop=1)) == []


def test_a_table_where_every_row_failed_is_refused() -> None:
    _refused(
        r".*Received: 100\.0%: image_missing 100",
        "failures",
        statuses={"image_missing": 100},
        previous_rows=None,
        previous_categories={},
        common=0,
    )


def test_every_broken_gate_is_told_at_once() -> None:
    refused = _broken(
        accepted=101,
        bad_embeddings=1,
        statuses={"image_io": 100},
        categories={"Hats": 100},
        previous_rows=200,
        flips={("Tops", "Hats"): 100},
    )
    assert [gate.gate for gate in refused] == [
        "ledger", "embeddings", "row_drop", "failures", "one_category", "category_shift", "flips",
    ]  # fmt: skip


@given(st.integers(100, 100_000), st.integers(0, 100))
def test_a_whole_percentage_is_a_threshold_to_the_row(rows: int, percent: int) -> None:
    limit = Gates(
        max_failures=percent / 100, max_row_drop=percent / 100, max_flips=percent / 100, max_shift=percent / 100,
        max_one_category=1,
    )  # fmt: skip
    most = rows * percent // 100

    def refused(by: int) -> set[str]:
        at = _failed_and_flipped(rows, by)
        found = {gate.gate for gate in _broken(gates_=limit, **at)}
        shrunk = {**at, "rows": rows - by, "ids": rows - by, "categories": {}, "statuses": {}}
        return found | {gate.gate for gate in _broken(gates_=limit, **shrunk) if gate.gate == "row_drop"}

    assert refused(most) == set()
    if most < rows:
        assert refused(most + 1) == {"failures", "row_drop", "category_shift", "flips"}
