"""Divide the search of a catalog into tasks, by counts.

A pool of at most `exact_limit` candidates is not divided: each task has all candidates and a block of the queries. A
larger pool is divided into parts. With few queries, the parts are random, and each query is searched in all of them.
With many queries, the parts are lists of near products (`inverted`), and each query is searched in the nearest lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

#: Average number of pairs in a task: about a minute of one core.
PAIRS = 10_000_000_000
#: Maximum share of queries among a large pool's products for a search in all parts.
FEW = 0.05


@dataclass(frozen=True)
class Pool:
    """A pool, and how it is searched.

    Attributes:
        name: name of the pool.
        candidates: number of products that may be recommended.
        queries: number of products whose list is wanted.
        parts: number of parts of the candidates.
        blocks: number of blocks of the queries of a part.
        first: number of the first task; the others follow.
        lists: whether the parts are lists of near products.
        probes: number of parts in which each query is searched.
        recall: share of the exact neighbours that are found, by a sample; 1 for an exact search.
    """

    name: str
    candidates: int
    queries: int
    parts: int = 1
    blocks: int = 1
    first: int = 0
    lists: bool = False
    probes: int = 1
    recall: float = 1.0

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return self.parts * self.blocks


def plan(candidates: Mapping[str, int], queries: Mapping[str, int], exact_limit: int) -> list[Pool]:
    """Return the pools to search, in the order of their names, without `first`.

    Args:
        candidates: number of products by pool.
        queries: number of products whose list is wanted, by pool.
        exact_limit: maximum of candidates in a part. Parts are random, so that some are a little larger.
    """
    pools = []
    for name in sorted(queries.keys() & candidates.keys()):
        pool = Pool(name, candidates[name], queries[name])
        if pool.candidates <= exact_limit:
            pools.append(replace(pool, blocks=max(1, round(pool.candidates * pool.queries / PAIRS))))
            continue
        parts = -(-pool.candidates // exact_limit)
        blocks = max(1, round(pool.candidates * pool.queries / parts / PAIRS))
        lists = pool.queries > FEW * pool.candidates
        pools.append(replace(pool, parts=parts, blocks=blocks, lists=lists, probes=parts))
    return pools


def numbered(pools: list[Pool]) -> list[Pool]:
    """Return the pools with the numbers of their tasks."""
    following, found = 0, []
    for pool in pools:
        found.append(replace(pool, first=following))
        following += pool.tasks
    return found
