"""Select the entries of a list from sorted candidates: excluded products, and limits such as that of a brand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.similar.products import Products, codes

#: Decimals of a score. Further digits depend on the size of a block.
DECIMALS = 6


@dataclass(frozen=True)
class Rules:
    """The rules of a list.

    Attributes:
        k: maximum of entries in a list.
        minimum_score: minimum score of an entry; None for any.
        same_photo: whether a product with exactly the same photo may be an entry.
        at_most: maximum of entries with the same value, for each of the columns `Products.caps`.
        ratios: lowest and highest multiple of the product's own value, for each of the columns `Products.numbers`.
    """

    k: int
    minimum_score: float | None = None
    same_photo: bool = False
    at_most: tuple[int, ...] = ()
    ratios: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Pairing:
    """Numbers of the values of queries and candidates: equal values have equal numbers, and a missing value is -1.

    Attributes:
        exclusive: for each of id, photo and item group, the numbers of the queries and of the candidates. A pair with
            equal numbers is excluded.
        caps: for each column, the numbers of the candidates.
        queries: float64[q, r], values of the queries that are compared by ratio.
        numbers: float64[n, r], the same values of the candidates.
    """

    exclusive: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
    caps: tuple[NDArray[np.int64], ...]
    queries: NDArray[np.float64]
    numbers: NDArray[np.float64]


def pair(queries: Products, candidates: Products, rules: Rules) -> Pairing:
    """Number the values of both blocks."""
    kinds = [(queries.ids, candidates.ids), (queries.group, candidates.group)]
    if not rules.same_photo:
        kinds.append((queries.photo, candidates.photo))
    exclusive = [codes(*kind) for kind in kinds]
    caps = [codes(column)[0] for column in candidates.caps[: len(rules.at_most)]]
    return Pairing(tuple((own, other) for own, other in exclusive), tuple(caps), queries.numbers, candidates.numbers)


def allowed(
    pairing: Pairing, rows: NDArray[np.intp], found: NDArray[np.intp], scores: NDArray[np.float64], rules: Rules
) -> NDArray[np.bool_]:
    """Return which pairs may be recommended: bool[q, m].

    Args:
        pairing: the result of `pair`.
        rows: int[q], indexes of the queries.
        found: int[q, m], indexes of the candidates; -1 for none.
        scores: scores of the pairs.
        rules: the rules of the lists.
    """
    fine = found >= 0
    for own, other in pairing.exclusive:
        numbers = other[found]
        fine &= (numbers != own[rows][:, None]) | (numbers < 0)
    if rules.minimum_score is not None:
        fine &= scores >= rules.minimum_score
    for place, (lowest, highest) in enumerate(rules.ratios):
        own_number = pairing.queries[rows, place][:, None]
        number = pairing.numbers[found, place]
        with np.errstate(invalid="ignore"):  # NaN: a product without the value
            fine &= (number >= lowest * own_number) & (number <= highest * own_number)
    return fine


def choose(
    fine: NDArray[np.bool_], caps: Sequence[NDArray[np.int64]], at_most: Sequence[int], most: int
) -> NDArray[np.bool_]:
    """Select the candidates of each row in their order, by all rules: bool[q, m].

    Args:
        fine: bool[q, m], the result of `allowed`.
        caps: for each column, int[q, m]: the numbers of the candidates' values; -1 for a missing value, without a
            limit.
        at_most: maximum of entries with the same value, for each column.
        most: maximum of entries in a list.
    """
    if not caps:
        return fine & (np.cumsum(fine, axis=1) <= most)
    taken = np.zeros_like(fine)
    count = np.zeros(len(fine), np.int64)
    for place in range(fine.shape[1]):
        good = fine[:, place] & (count < most)
        for column, limit in zip(caps, at_most, strict=True):
            value = column[:, place]
            sharing = ((column[:, :place] == value[:, None]) & taken[:, :place]).sum(1)
            good &= (sharing < limit) | (value < 0)
        taken[:, place] = good
        count += good
    return taken
