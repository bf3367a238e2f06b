"""Tasks of the search, as Spark gives them their rows: in batches, in parts, and with queries sent to candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fashion_udf.similar import join, lists, products, search
from fashion_udf.similar.selection import Rules
from tests.similar import blocks

RULES = Rules(4, at_most=(2, 50), ratios=((0.0, np.inf),))


def rows(count: int) -> list[blocks.Product]:
    draws = np.random.default_rng(4)
    return [blocks.product(f"p{number:03d}", draws) for number in range(count)]


def full(table: pa.Table, queries: pa.Table) -> dict[str, Any]:
    block, wanted = products.from_arrow(table), products.from_arrow(queries)
    found = lists.found(wanted, block, search.search(wanted, block, RULES, 6))
    return {row["product_id"]: row["entries"] for row in found.to_pylist()}


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_task_gets_all_of_its_rows_and_no_others(size: int) -> None:
    table = blocks.table(rows(30))
    tasks = pa.array([number // 12 for number in range(30)], pa.int64())
    flags = pa.array([number % 3 > 0 for number in range(30)])
    given = table.append_column("task", tasks).append_column("candidate", flags)
    given = given.append_column("query", pa.array([True] * 30))
    found = list(join.by_task(given.to_batches(max_chunksize=size)))
    assert [part["task"].unique().to_pylist() for part in found] == [[0], [1], [2]]
    assert [len(part) for part in found] == [12, 12, 6]

    class Done:
        count = 0

        def add(self, count: int) -> None:
            self.count += count

    done: Any = Done()
    lists_found = pa.Table.from_batches(list(join._searching(RULES, 6, done)(given.to_batches(max_chunksize=size))))
    expected: dict[str, Any] = {}
    for part in (table.slice(0, 12), table.slice(12, 12), table.slice(24)):
        kept = pa.array([int(name[1:]) % 3 > 0 for name in part["product_id"].to_pylist()])
        expected |= full(part.filter(kept), part)
    assert {row["product_id"]: row["entries"] for row in lists_found.to_pylist()} == expected and done.count == 30
