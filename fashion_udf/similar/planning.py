"""How the search of a catalog is divided into tasks, from nothing but counts.

A pool of at most `exact_limit` candidates is searched whole: each task holds all of it and a block of the queries. A
larger one is divided into parts, and each query is searched in some of them. The parts are random where there are few
queries, and each query is searched in all of them. Else the parts are lists of near products (`inverted`), and each
query is searched in the nearest lists only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

#: Pairs of one task, on average: about a minute of one core.
PAIRS = 10_000_000_000
#: Share of a large pool's products up to which all parts are searched for each query.
FEW = 0.05


@dataclass(frozen=True)
class Pool:
    """One pool, and how it is searched.

    Attributes:
        name: of the pool.
        candidates: products that may be recommended.
        queries: products whose list is wanted.
        parts: into which the candidates are divided.
        blocks: into which the queries of a part are divided.
        first: number of its first task; the others follow.
        lists: whether the parts are lists of near products.
        probes: parts in which each query is searched.
        recall: share of the exact neighbours that are found, by a sample; 1 where the search is exact.
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
    """Return the pools that are searched, in the order of their names, without `first`.

    Args:
        candidates: products by pool.
        queries: products whose list is wanted, by pool.
        exact_limit: candidates of a part, at most. Parts are divided at random, so that some are a little larger.
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
