"""From candidates in order to a list: who is left out, and how many may share a brand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.similar.products import Products, codes

#: Decimals of a score. The sums behind it differ in later digits with the size of a block.
DECIMALS = 6


@dataclass(frozen=True)
class Rules:
    """What a list must keep.

    Attributes:
        k: most entries of a list.
        minimum_score: of an entry; None for any.
        same_photo: whether a product with exactly the same photo may be an entry.
        at_most: entries that may share a value, for each of the columns `Products.caps`.
        ratios: lowest and highest multiple of the product's own value, for each of the columns `Products.numbers`.
    """

    k: int
    minimum_score: float | None = None
    same_photo: bool = False
    at_most: tuple[int, ...] = ()
    ratios: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Pairing:
    """Queries and candidates whose equal values have equal numbers; -1 for none.

    Attributes:
        exclusive: for each of id, photo and item group, the numbers of the queries and of the candidates. A pair with
            an equal number is no recommendation.
        caps: for each column, the numbers of the candidates.
        queries: float64[q, r], the queries' own values that are compared by ratio.
        numbers: float64[n, r], those of the candidates.
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
        pairing: of `pair`.
        rows: int[q], the places of the queries.
        found: int[q, m], the places of the candidates; -1 for none.
        scores: of the pairs.
        rules: of the lists.
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
    """Go through each row of candidates, best first, and take those that no rule leaves out: bool[q, m].

    Args:
        fine: bool[q, m], of `allowed`.
        caps: for each column, int[q, m]: the numbers of the candidates' values; -1 for none, which is never full.
        at_most: entries that may share a value, for each column.
        most: entries of a list.
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
