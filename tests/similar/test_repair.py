"""A night's lists are those of a full run, whatever changed since the last night."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_udf.similar import lists, repair, search
from fashion_udf.similar.selection import Rules
from tests.similar import blocks
from tests.similar.blocks import Product

Made = dict[str, dict[str, object]]


def full(rows: list[Product], kept: Rules, most: int) -> Made:
    """The lists of a full run."""
    block = blocks.block(rows)
    return by_id(lists.found(block, block, search.search(block, block, kept, most)))


def by_id(table: pa.Table) -> Made:
    return {row["product_id"]: row for row in table.to_pylist()}


def published(made: Made, k: int) -> pa.Table:
    """The lists as the table of a night has them."""
    table = pa.Table.from_pylist([{**row, "product_id": name} for name, row in sorted(made.items())], lists.FOUND)
    return lists.published(table, pa.array([7] * len(table), pa.int64()), k, "m1")


def compared(rows: list[Product], queries: list[Product], entering: list[Product], floors: Any, kept: Rules, most: int):
    """What is found in the catalog, in two parts: lists of the queries, and entries for the lists of others."""
    arriving = repair.Arriving(
        pa.array([row.product_id for row in queries], pa.string()),
        {"all": blocks.block(queries)} if queries else {},
        {"all": blocks.block(entering)} if entering else {},
        floors,
    )
    found = []
    for half in (rows[::2], rows[1::2]):
        table = blocks.table(half)
        for name, values, kind in (
            ("searched", ["all"] * len(half), pa.string()),
            ("held", [["all"]] * len(half), pa.list_(pa.string())),
            ("place", [place(row.product_id, floors) for row in half], pa.int64()),
        ):
            table = table.append_column(name, pa.array(values, kind))
        found.append(repair.compared(table, arriving, kept, most))
    whole = pa.concat_tables(found)
    own, others = (whole.filter(pa.array(chosen, pa.bool_())).drop_columns("own") for chosen in own_and_not(whole))
    return lists.united([lists.FOUND.empty_table(), own], kept.at_most, most), others


def own_and_not(table: pa.Table) -> tuple[list[bool], list[bool]]:
    own = table["own"].to_pylist()
    return own, [not each for each in own]


def place(name: str, floors: Any) -> int:
    return zlib.crc32(name.encode()) % len(floors)


def night(old: list[Product], made: Made, new: list[Product], kept: Rules, most: int) -> tuple[Made, int]:
    """The lists after a night, and how many were searched anew."""
    before, now = {row.product_id: row for row in old}, {row.product_id: row for row in new}
    changed = {name for name, row in now.items() if before.get(name) != row}
    gone = pa.array(sorted((before.keys() - now.keys()) | (changed & before.keys())), pa.string())
    entering = [now[name] for name in sorted(changed)]
    lists_before = published(made, kept.k)
    floors = np.full(4, np.inf, np.float32)  # so few places that products share them
    for name, floor in zip(lists_before["product_id"].to_pylist(), lists_before["floor"].to_pylist(), strict=True):
        floors[place(name, floors)] = min(floors[place(name, floors)], -np.inf if floor is None else floor)
    found, others = compared(new, entering, entering, floors, kept, most)
    files = [lists_before.slice(0, len(old) // 2), lists_before.slice(len(old) // 2)]
    anew = [name for file in files for name in repair.to_search(file, gone, others, kept).to_pylist()]
    again, _ = compared(new, [now[name] for name in anew], [], floors, kept, most)
    searched = pa.concat_tables([found, again])
    names, known = searched["product_id"].to_pylist(), set(lists_before["product_id"].to_pylist())
    to_file = pa.array([-1 if name in known else 1 for name in names], pa.int32())
    of_night = repair.Night(gone, searched, pa.array([7] * len(names), pa.int64()), to_file, others, "m1")
    after = pa.concat_tables([repair.repaired(file, number, of_night, kept, most) for number, file in enumerate(files)])
    assert len(after) == len(pc.unique(after["product_id"])), "a product has two lists"
    assert after.equals(lists.published(lists.found_before(after), pa.array([7] * len(after)), kept.k, "m1"))
    return by_id(lists.found_before(after)), len(searched)


def assert_lists_of_a_full_run(made: Made, rows: list[Product], kept: Rules, most: int) -> None:
    """The first k entries are those of a full run, and those in reserve are the next ones, as many as are left."""
    expected = full(rows, kept, most)
    assert made.keys() == expected.keys()
    for name, row in made.items():
        ours, theirs = ([(each["similar_id"], each["score"]) for each in of["entries"]] for of in (row, expected[name]))
        assert ours[: kept.k] == theirs[: kept.k] and ours == theirs[: len(ours)], name


@given(st.data())
@settings(max_examples=60)
def test_nights_end_with_the_lists_of_a_full_run(data: st.DataObject) -> None:
    kept = blocks.rules(data.draw)
    if data.draw(st.booleans()):
        kept = Rules(kept.k, kept.minimum_score, kept.same_photo, (), kept.ratios)
    most = kept.k + data.draw(st.integers(0, 4))
    rows = data.draw(blocks.drawn())
    made = full(rows, kept, most)
    for _ in range(data.draw(st.integers(1, 3))):
        draws = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        following = [blocks.product(row.product_id, draws) if draws.random() < 0.1 else row for row in rows]
        following = [row for row in following if draws.random() > 0.1]
        following += [blocks.product(f"new-{draws.integers(10**6)}", draws) for _ in range(draws.integers(3))]
        made, _ = night(rows, made, following, kept, most)
        rows = following
        assert_lists_of_a_full_run(made, rows, kept, most)


def test_most_lists_of_a_quiet_night_are_not_searched_anew() -> None:
    draws = np.random.default_rng(5)
    rows = [blocks.product(f"p{number:03d}", draws) for number in range(300)]
    kept = Rules(5, same_photo=True, ratios=())
    rows = [Product(row.product_id, row.vector) for row in rows]
    made = full(rows, kept, 10)
    following = [Product(row.product_id, rows[0].vector) if number < 3 else row for number, row in enumerate(rows)]
    made, anew = night(rows, made, following, kept, 10)
    assert anew == 2  # the first product stays as it is
    assert_lists_of_a_full_run(made, following, kept, 10)


@pytest.mark.parametrize("seed", range(4))
def test_lists_that_are_not_whole_take_only_what_beats_their_last_entry(seed: int) -> None:
    draws = np.random.default_rng(seed)
    rows = [Product(f"p{number:03d}", blocks.product("", draws).vector) for number in range(150)]
    kept, most = Rules(3), 6
    made = full(rows, kept, most)
    for number in range(3):
        following = [row for row in rows if draws.random() > 0.03]
        following += [Product(f"n{number}{place}", blocks.product("", draws).vector) for place in range(4)]
        made, searched = night(rows, made, following, kept, most)
        rows = following
        assert searched < 60
        assert_lists_of_a_full_run(made, rows, kept, most)


def test_a_product_that_nothing_goes_with_keeps_its_empty_list() -> None:
    row = {"product_id": "a", "entries": [], "exhausted": True}
    old = published({"a": row}, 3)
    nobody = lists.FOUND.empty_table()
    of_night = repair.Night(
        pa.array([], pa.string()), nobody, pa.array([], pa.int64()), pa.array([], pa.int32()), nobody, "m1"
    )
    assert repair.repaired(old, 0, of_night, Rules(3), 5).equals(old)
    assert repair.to_search(old, of_night.gone, nobody, Rules(3)).to_pylist() == []
