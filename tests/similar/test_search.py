"""The lists of a search are those of the definition, whatever the blocks."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_udf.errors import EnvironmentUnsupportedError
from fashion_udf.similar import search
from fashion_udf.similar.selection import Rules
from tests.similar import blocks
from tests.similar.blocks import Product


def named(lists: search.Lists, candidates: search.Products) -> list[list[tuple[str, float]]]:
    """The entries of each list by id."""
    ids = candidates.ids.to_pylist()
    return [
        [(ids[place], score) for place, score in zip(places, scores, strict=True) if place >= 0]
        for places, scores in zip(lists.places.tolist(), lists.scores.tolist(), strict=True)
    ]


@given(st.data())
@settings(max_examples=60)
def test_lists_are_those_of_the_definition(data: st.DataObject) -> None:
    candidates, queries = data.draw(blocks.drawn()), data.draw(blocks.drawn(10))
    kept = blocks.rules(data.draw)
    most = kept.k + data.draw(st.integers(0, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "BLOCK", data.draw(st.integers(1, 12)))
        patch.setattr(search, "_MORE", data.draw(st.integers(0, 4)))
        block = blocks.block(candidates)
        found = named(search.search(blocks.block(queries), block, kept, most), block)
    ordered = sorted(queries, key=lambda row: row.product_id.encode())
    assert found == [blocks.expected(row, candidates, kept, most) for row in ordered]


def test_lists_do_not_depend_on_the_order_of_rows_or_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(3)
    rows = [blocks.product(f"p{number}", draws) for number in range(150)]
    kept = Rules(10, at_most=(50, 50), ratios=((0, np.inf),))
    expected = named(search.search(blocks.block(rows), blocks.block(rows), kept, 15), blocks.block(rows))
    for size in (7, 4096):
        monkeypatch.setattr(search, "BLOCK", size)
        random.Random(size).shuffle(rows)
        block = blocks.block(rows)
        assert named(search.search(block, block, kept, 15), block) == expected


def test_more_equal_products_than_are_found_at_first_are_ordered_by_id() -> None:
    rows = [Product(f"{number:04d}", (1.0, 0.0), price=1.0) for number in range(300)]
    block = blocks.block(rows)
    kept = Rules(3, at_most=(50, 500), ratios=((0, np.inf),))
    found = named(search.search(block, block, kept, 3), block)
    assert found[0] == [("0001", 1.0), ("0002", 1.0), ("0003", 1.0)]
    assert found[250] == [("0000", 1.0), ("0001", 1.0), ("0002", 1.0)]


def test_a_list_is_exhausted_where_no_other_product_may_be_recommended() -> None:
    rows = [Product(f"{number}", (1.0, 0.0), price=1.0) for number in range(6)]
    block = blocks.block(rows)
    kept = Rules(3, at_most=(50, 50), ratios=((0, np.inf),))
    assert search.search(block, block, kept, 3).exhausted.tolist() == [False] * 6
    assert search.search(block, block, kept, 9).exhausted.tolist() == [True] * 6


def test_one_product_alone_has_an_empty_list() -> None:
    block = blocks.block([Product("a", (1.0, 0.0), price=1.0)])
    lists = search.search(block, block, Rules(3, at_most=(1, 1), ratios=((0, 1),)), 5)
    assert named(lists, block) == [[]] and lists.exhausted.all()


def test_without_candidates_every_list_is_empty() -> None:
    queries = blocks.block([Product("a", (1.0, 0.0), price=1.0)])
    lists = search.search(queries, queries.take(np.array([], np.intp)), Rules(3), 5)
    assert lists.places.tolist() == [[-1] * 5]


def test_without_faiss_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    search.require_faiss()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvironmentUnsupportedError, match=r"Expected faiss: install 'fashion-udf\[similar\]'"):
        search.require_faiss()
