"""Connected components in Spark: those of union-find for any graph, long chains too, and an end to the search."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from fashion_udf.errors import CatalogError
from training.data import components

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Edges = list[tuple[str, str]]


def _frame(spark: SparkSession, edges: Edges) -> DataFrame:
    return spark.createDataFrame(edges, "one string, other string")


def _expected(edges: Edges) -> dict[str, str]:
    neighbours = defaultdict(set)
    for one, other in edges:
        neighbours[one].add(other)
        neighbours[other].add(one)
    smallest: dict[str, str] = {}
    for node in sorted(neighbours):
        waiting = [node]
        while waiting:
            if (found := waiting.pop()) not in smallest:
                smallest[found] = node
                waiting += neighbours[found]
    return {node: root for node, root in smallest.items() if node != root}


def test_components_are_those_of_a_search_on_one_machine(spark: SparkSession) -> None:
    """Three hundred graphs side by side: sparse ones, dense ones, a chain of shuffled nodes, and edges to oneself."""
    draws = random.Random(1)
    edges: Edges = []
    for graph in range(300):
        nodes = [f"{draws.choice('abéЖ')}{graph:03d}-{number}" for number in range(draws.randint(1, 12))]
        edges += [(draws.choice(nodes), draws.choice(nodes)) for _ in range(draws.randint(0, 15))]
    chain = [f"chain {number:03d}" for number in range(200)]
    draws.shuffle(chain)
    edges += [*zip(chain, chain[1:], strict=False)]
    rows = components.smallest_of_component(_frame(spark, edges)).collect()
    assert len({row["node"] for row in rows}) == len(rows)
    assert {row["node"]: row["smallest"] for row in rows} == _expected(edges)


def test_a_graph_without_edges_has_no_component(spark: SparkSession) -> None:
    assert components.smallest_of_component(_frame(spark, [("a", "a")])).collect() == []
    assert components.smallest_of_component(_frame(spark, [])).collect() == []


def test_a_search_that_does_not_end_says_what_to_look_for(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "MAX_ROUNDS", 1)
    chain = [f"{number:02d}" for number in range(20)]
    with pytest.raises(CatalogError) as raised:
        components.smallest_of_component(_frame(spark, [*zip(chain, chain[1:], strict=False)]))
    assert str(raised.value) == (
        "Expected to find the groups of products that share a photo or a title in 1 rounds. Received: links that still "
        "change (19). Look for a title or a photo that many products share, such as a placeholder, and remove it"
    )
