"""Find the best candidates of each query exactly, with blocked matrix products. The lists do not depend on the blocks.

The sums of a matrix product differ in the last digits with the size of a block. So the product is only used to find
more candidates than needed. Then the score of each pair is computed separately and rounded, and the pairs are sorted by
score and product id. If a candidate that was not found could still change a list, the search is repeated with more
candidates.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import EnvironmentUnsupportedError
from fashion_udf.similar.products import Products
from fashion_udf.similar.selection import DECIMALS, Pairing, Rules, allowed, choose, pair

#: Queries of one matrix product.
BLOCK = 4096
#: Pairs whose scores are computed at a time: 64 MB.
_PAIRS = 32_768
#: Scores of `reaching` at a time: 16 MB of them.
_SCORES = 4_000_000
#: Twice what a score of 256 products in single precision may differ from the rounded one.
_TOLERANCE = 2e-5
#: Additional candidates of the first search, for the product itself and its variants.
_MORE = 8


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of candidates, best first.

    Attributes:
        places: int[q, most], indexes of the candidates; -1 after the last entry of a list.
        scores: float64[q, most], rounded; NaN after the last entry.
        exhausted: bool[q], whether no other candidate may be recommended.
    """

    places: NDArray[np.intp]
    scores: NDArray[np.float64]
    exhausted: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a query and a candidate, in the order of the queries.

    Attributes:
        query: int[p], places of the queries.
        place: int[p], places of the candidates.
        scores: float64[p], rounded.
    """

    query: NDArray[np.intp]
    place: NDArray[np.intp]
    scores: NDArray[np.float64]


def search(queries: Products, candidates: Products, rules: Rules, most: int) -> Lists:
    """Return the best candidates of each query.

    Args:
        queries: the queries.
        candidates: the candidates in the order of their ids, which decides between equal scores.
        rules: the rules of the lists.
        most: maximum of entries in a list: `rules.k` and the spare ones.
    """
    lists = empty(len(queries), most)
    if not len(candidates):
        return lists
    pairing = pair(queries, candidates, rules)
    for start in range(0, len(queries), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(queries)))
        depth = min(len(candidates), most + _MORE)
        while len(rows):
            done = _search(queries, candidates, pairing, rules, rows, depth, lists)
            rows, depth = rows[~done], min(len(candidates), depth * 4)
    return lists


def reaching(queries: Products, candidates: Products, floors: NDArray[np.float64], rules: Rules) -> Pairs:
    """Return all pairs that may be recommended, and whose score is the query's floor or more.

    Args:
        queries: any number.
        candidates: any number.
        floors: float64[q]; -inf for a query that any candidate may be recommended for.
        rules: of the lists; `at_most` is left to whoever puts the pairs in order.
    """
    pairing, parts = pair(queries, candidates, rules), []
    lowest = -np.inf if rules.minimum_score is None else rules.minimum_score
    floors = np.maximum(floors, lowest)
    step = max(1, _SCORES // max(1, len(candidates)))
    for start in range(0, len(queries), step):
        vectors = queries.vectors[start : start + step]
        near = vectors @ candidates.vectors.T >= (floors[start : start + step] - _TOLERANCE)[:, None]
        query, place = np.nonzero(near)
        scores = scored(vectors[query], candidates.vectors, place[:, None])
        query += start
        fine = allowed(pairing, query, place[:, None], scores, rules)[:, 0] & (scores[:, 0] >= floors[query])
        parts.append((query[fine], place[fine], scores[fine, 0]))
    if not parts:
        return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def require_faiss() -> None:
    """Refuse an environment without faiss before anything is read.

    Raises:
        EnvironmentUnsupportedError: faiss is not installed. The message names the extra.
    """
    if importlib.util.find_spec("faiss") is None:
        raise EnvironmentUnsupportedError(
            "Expected faiss: install 'fashion-udf[similar]', here and on the executors. Received: no such package"
        )


def empty(queries: int, most: int) -> Lists:
    """Return lists without an entry."""
    shape = (queries, most)
    return Lists(np.full(shape, -1, np.intp), np.full(shape, np.nan), np.ones(queries, np.bool_))


def nearest(
    queries: NDArray[np.float32], candidates: NDArray[np.float32], depth: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the best candidates by the matrix product, int[q, d], and the lowest score found, float32[q]."""
    import faiss

    # A task has one core. The setting only holds for this process.
    faiss.omp_set_num_threads(1)
    scores, places = faiss.knn(queries, candidates, depth, faiss.METRIC_INNER_PRODUCT)
    return places.astype(np.intp), scores[:, -1]


def scored(
    queries: NDArray[np.float32], candidates: NDArray[np.float32], found: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the scores of pairs, float64[q, m]. The score of a pair does not depend on other pairs."""
    scores = np.empty(found.shape)
    step = max(1, _PAIRS // max(1, found.shape[1]))
    for start in range(0, len(found), step):
        part = slice(start, start + step)
        vectors = candidates[found[part]].astype(np.float64)
        vectors *= queries[part, None]
        scores[part] = vectors.sum(axis=2)
    return np.round(scores, DECIMALS)


def _search(
    queries: Products,
    candidates: Products,
    pairing: Pairing,
    rules: Rules,
    rows: NDArray[np.intp],
    depth: int,
    lists: Lists,
) -> NDArray[np.bool_]:
    """Fill in the lists of some queries. Return which of them no other candidate can change."""
    vectors, most = queries.vectors[rows], lists.places.shape[1]
    places, least = nearest(vectors, candidates.vectors, depth)
    places.sort(axis=1)  # by id; the stable sort by score keeps this order
    scores = scored(vectors, candidates.vectors, places)
    order = np.argsort(-scores, axis=1, kind="stable")
    places, scores = np.take_along_axis(places, order, 1), np.take_along_axis(scores, order, 1)
    fine = allowed(pairing, rows, places, scores, rules)
    whole = depth == len(candidates)
    floor = np.full(len(rows), -np.inf) if whole else least + _TOLERANCE
    # A candidate that was not found may come before those below the floor.
    fine &= scores > floor[:, None]
    taken = choose(fine, [numbers[places] for numbers in pairing.caps], rules.at_most, most)
    lowest = -np.inf if rules.minimum_score is None else rules.minimum_score
    ended = whole | (floor < lowest)
    _fill(lists, rows, places, scores, taken)
    count = taken.sum(1)
    lists.exhausted[rows] = ended & (fine.sum(1) <= most if not rules.at_most else count < most)
    return np.asarray(ended | (count == most))


def _fill(
    lists: Lists,
    rows: NDArray[np.intp],
    places: NDArray[np.intp],
    scores: NDArray[np.float64],
    taken: NDArray[np.bool_],
) -> None:
    lists.places[rows], lists.scores[rows] = -1, np.nan
    query, found = np.nonzero(taken)
    entry = (np.cumsum(taken, axis=1) - 1)[query, found]
    lists.places[rows[query], entry] = places[query, found]
    lists.scores[rows[query], entry] = scores[query, found]
