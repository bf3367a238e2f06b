"""A night's lists are those of a full run, whatever changed since the last night."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
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


def night(old: list[Product], made: Made, new: list[Product], kept: Rules, most: int) -> tuple[Made, int]:
    """The lists after a night, and how many were searched anew."""
    before, now = {row.product_id: row for row in old}, {row.product_id: row for row in new}
    changed = {name for name, row in now.items() if before.get(name) != row}
    gone = sorted((before.keys() - now.keys()) | (changed & before.keys()))
    entering = [now[name] for name in sorted(changed)]
    changes = repair.Changes(pa.array(gone, pa.string()), {"all": blocks.block(entering)} if entering else {})
    table = blocks.table(new)
    for name, values, kind in (
        ("searched", ["all"] * len(new), pa.string()),
        ("changed", [row.product_id in changed for row in new], pa.bool_()),
        ("entries", [made.get(row.product_id, {}).get("entries") for row in new], pa.list_(lists.ENTRY)),
        ("exhausted", [made.get(row.product_id, {}).get("exhausted") for row in new], pa.bool_()),
    ):
        table = table.append_column(name, pa.array(values, kind))
    done = by_id(repair.repaired(table, changes, kept, most))
    anew = [row for row in new if done[row.product_id]["search"]]
    found: Made = {}
    if anew:
        queries, block = blocks.block(anew), blocks.block(new)
        found = by_id(lists.found(queries, block, search.search(queries, block, kept, most)))
    return {**done, **found}, len(anew)


def shown(made: Made, k: int) -> dict[str, list[tuple[object, object]]]:
    return {name: [(entry["similar_id"], entry["score"]) for entry in row["entries"][:k]] for name, row in made.items()}


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
        assert shown(made, kept.k) == shown(full(rows, kept, most), kept.k)


def test_most_lists_of_a_quiet_night_are_not_searched_anew() -> None:
    draws = np.random.default_rng(5)
    rows = [blocks.product(f"p{number:03d}", draws) for number in range(300)]
    kept = Rules(5, same_photo=True, ratios=())
    rows = [Product(row.product_id, row.vector) for row in rows]
    made = full(rows, kept, 10)
    following = [Product(row.product_id, rows[0].vector) if number < 3 else row for number, row in enumerate(rows)]
    made, anew = night(rows, made, following, kept, 10)
    assert anew == 2  # the first product stays as it is
    assert shown(made, 5) == shown(full(following, kept, 10), 5)


def test_the_pool_of_a_product_that_nothing_goes_with_is_no_pool() -> None:
    table = blocks.table([Product("a", (1.0, 0.0))])
    for name, value, kind in (
        ("searched", None, pa.string()),
        ("changed", False, pa.bool_()),
        ("entries", [], pa.list_(lists.ENTRY)),
        ("exhausted", True, pa.bool_()),
    ):
        table = table.append_column(name, pa.array([value], kind))
    (row,) = repair.repaired(table, repair.Changes(pa.array([], pa.string()), {}), Rules(3), 5).to_pylist()
    assert row == {"product_id": "a", "entries": [], "exhausted": True, "search": False}
