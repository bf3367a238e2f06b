"""Whether two runs say the same of the same products."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmark import agreement
from tests.benchmark.agreement import Tag
from tests.benchmark.catalogs import COPY

_TAGS = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.builds(Tag, st.sampled_from(["Shirts", "Ties", None]), st.floats(0, 1), st.floats(0, 1)),
    min_size=1,
)


@given(_TAGS, st.sampled_from(["f32", "bf16", "int8"]))
def test_a_run_agrees_with_itself(tags: dict[str, Tag], precision: str) -> None:
    assert agreement.same_share(tags, tags) == 1.0
    assert agreement.changed(tags, tags, precision) == []


def test_the_share_counts_rows_of_the_same_category_and_duplicates_as_what_they_repeat() -> None:
    reference = {"a": Tag("Shirts", 0.9, 0.8), "b": Tag("Ties", 0.9, 0.8)}
    tags = {"a": Tag("Shirts", 0.5, 0.1), f"a{COPY}": Tag("Shirts", 0.5, 0.1), "b": Tag("Belts", 0.5, 0.1)}
    assert agreement.same_share(tags, reference) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="Expected tables of the same products. Received: 1 others, first 'c'"):
        agreement.same_share({"c": Tag("Ties", 0.5, 0.1)}, reference)


@pytest.mark.parametrize(
    ("precision", "other", "changes"),
    [
        ("f32", Tag("Shirts", 0.900_009, 0.5), 0),
        ("f32", Tag("Shirts", 0.900_02, 0.5), 1),
        ("f32", Tag("Ties", 0.9, 0.5), 1),
        ("int8", Tag("Shirts", 0.8, 0.5), 0),
        ("int8", Tag("Ties", 0.9, 0.5), 1),
    ],
)
def test_f32_keeps_its_confidence_and_the_others_their_category(precision: str, other: Tag, changes: int) -> None:
    lines = agreement.changed({"a": Tag("Shirts", 0.9, 0.5)}, {"a": other}, precision)
    assert len(lines) == changes


def test_f32_may_choose_either_of_two_categories_that_are_nearly_equal() -> None:
    tags = {"a": Tag("Shirts", 0.45, 0.000_05)}
    assert agreement.changed(tags, {"a": Tag("Ties", 0.45, 0.000_05)}, "f32") == []


def test_int8_may_change_one_row_in_a_thousand_and_f32_none() -> None:
    assert [agreement.allowed(precision, 2000) for precision in ("f32", "bf16", "int8")] == [0, 2, 2]


def test_tables_of_other_products_are_not_compared() -> None:
    with pytest.raises(ValueError, match="Expected tables of the same products. Received: 1 and 0 products"):
        agreement.changed({"a": Tag("Ties", 0.5, 0.1)}, {}, "f32")


def test_our_table_and_the_plain_one_are_read(tmp_path: Path) -> None:
    top = [{"category": "Ties", "confidence": 0.75}, {"category": "Belts", "confidence": 0.25}]
    # A human's category does not hide what the model says.
    ours = {"product_id": ["a"], "category": ["Hats"], "model_category": ["Ties"], "confidence": [0.75]}
    plain = {"product_id": ["a"], "category": ["Ties"], "confidence": [0.75]}
    pq.write_table(pa.table({**ours, "top_categories": [top]}), tmp_path / "ours.parquet")
    pq.write_table(pa.table(plain), tmp_path / "plain.parquet")
    assert agreement.read(tmp_path / "ours.parquet") == {"a": Tag("Ties", 0.75, 0.5)}
    assert agreement.read(tmp_path / "plain.parquet") == {"a": Tag("Ties", 0.75, 1.0)}


def test_many_differences_are_summed_up() -> None:
    assert agreement.summary(["a"] * 7) == "a; a; a; a; a and 2 more"
    assert agreement.summary(["a", "b"]) == "a; b"
