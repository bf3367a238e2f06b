"""What a night compares, as Spark gives it: in batches, and in parts of the catalog."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fashion_udf.similar import lists, night, products, repair, search
from fashion_udf.similar.selection import Rules
from tests.similar import blocks

RULES = Rules(4, ratios=((0.0, np.inf),))


def test_what_is_compared_in_parts_gives_the_lists_of_a_full_search_and_what_beats_a_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = np.random.default_rng(4)
    rows = [blocks.product(f"p{number:03d}", draws) for number in range(120)]
    table = blocks.table(rows)
    pools = [["even", "all"] if number % 2 == 0 else ["all"] for number in range(120)]
    table = table.append_column("held", pa.array(pools, pa.list_(pa.string())))
    table = table.append_column("searched", pa.array(["all"] * 120))
    table = table.append_column("place", pa.array([number % 2 for number in range(120)]))
    even = table.filter(pa.array([number % 2 == 0 for number in range(120)]))
    queries, block = products.from_arrow(table.slice(10, 7)), products.from_arrow(table)
    entering = products.from_arrow(table.slice(50, 3))
    arriving = repair.Arriving(
        pa.array([*queries.ids.to_pylist(), *entering.ids.to_pylist()], pa.string()),
        {"even": queries},
        {"all": entering},
        np.array([0.999, 2.0], np.float32),
    )
    monkeypatch.setattr(night, "PART", 40)
    run = night._comparing(arriving, RULES, 6)
    found = pa.Table.from_batches(list(run(table.to_batches(max_chunksize=17))))
    own = lists.united([found.filter(found["own"]).drop_columns("own")], (), 6)
    expected = lists.found(
        queries, products.from_arrow(even), search.search(queries, products.from_arrow(even), RULES, 6)
    )
    assert by_id(own) == by_id(expected)
    # Only even products have a floor that a score can reach; those that arrive have none.
    scores = search.scored(block.vectors, entering.vectors, np.tile(np.arange(3), (120, 1)))
    pairing = search.pair(block, entering, RULES)
    fine = search.allowed(pairing, np.arange(120), np.tile(np.arange(3), (120, 1)), scores, RULES) & (scores >= 0.999)
    pairs = {
        (f"p{query:03d}", f"p{50 + place:03d}")
        for query, place in zip(*np.nonzero(fine), strict=True)
        if query % 2 == 0 and not 10 <= query < 17 and not 50 <= query < 53
    }
    others = found.filter(pa.compute.invert(found["own"])).to_pylist()
    assert {(row["product_id"], each["similar_id"]) for row in others for each in row["entries"]} == pairs and pairs


def by_id(table: pa.Table) -> dict[str, object]:
    return {row["product_id"]: row["entries"] for row in table.to_pylist()}
