"""An inverted file for pools that are too large for an exact search: lists of near products.

The lists are the cells of k-means centroids. A query is searched in the lists of the nearest centroids. The exact
neighbours of a sample decide the number of lists: each neighbour is in one list, and its rank in the query's order of
lists is the number of lists that must be searched to find it. So the recall is known before the search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Average number of candidates in a list.
LIST = 8_192
#: Number of products per centroid for training. More change little, and all of them are collected on the driver.
TRAINED_ON = 64
_ROUNDS = 12
_SEED = 20


@dataclass(frozen=True, eq=False)
class Cells:
    """The lists of one pool.

    Attributes:
        centroids: float32[l, d], of unit length.
        splits: int[l], number of parts of each list. A list that is too large for a task has several.
    """

    centroids: NDArray[np.float32]
    splits: NDArray[np.int64]

    @property
    def parts(self) -> int:
        """Number of parts of all lists."""
        return int(self.splits.sum())

    def homes(self, vectors: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the list of each vector: int[n]."""
        return np.asarray((vectors @ self.centroids.T).argmax(axis=1))

    def part_of(self, vectors: NDArray[np.float32], draws: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the part of each vector: int[n]. `draws` decides if a list has several parts."""
        homes = self.homes(vectors)
        return self._first()[homes] + (draws % self.splits[homes].astype(np.uint64)).astype(np.int64)

    def probed(self, vectors: NDArray[np.float32], count: int) -> list[NDArray[np.int64]]:
        """Return the parts of the `count` nearest lists of each vector."""
        first, order = self._first(), self.order(vectors)[:, :count]
        if (self.splits == 1).all():
            return list(first[order])
        return [np.concatenate([first[cell] + np.arange(self.splits[cell]) for cell in row]) for row in order]

    def order(self, vectors: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the lists, nearest first: int[n, l]."""
        return np.argsort(-(vectors @ self.centroids.T), axis=1, kind="stable")

    def _first(self) -> NDArray[np.int64]:
        return np.asarray(np.cumsum(self.splits) - self.splits)


def train(sample: NDArray[np.float32], lists: int) -> Cells:
    """Return the lists of a pool, each in one part.

    Args:
        sample: float32[n, d], unit length, in an order that does not change from run to run.
        lists: number of lists. A small sample gives fewer.
    """
    import faiss

    lists = max(1, min(lists, len(sample)))
    kmeans = faiss.Kmeans(sample.shape[1], lists, niter=_ROUNDS, seed=_SEED, spherical=True, min_points_per_centroid=1)
    kmeans.train(np.ascontiguousarray(sample))
    return Cells(np.asarray(kmeans.centroids, np.float32), np.ones(lists, np.int64))


def recalls(order: NDArray[np.intp], homes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the share of neighbours that are found in the first 1, 2, ... lists: float64[l].

    Args:
        order: int[q, l], the lists of each query, nearest first.
        homes: int[q, k], the list of each exact neighbour; -1 for none.
    """
    lists = order.shape[1]
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(lists)[None], axis=1)
    known = homes >= 0
    needed = np.take_along_axis(rank, np.where(known, homes, 0), axis=1)[known]
    found = np.cumsum(np.bincount(needed, minlength=lists))
    return found / max(1, len(needed)) if len(needed) else np.ones(lists)


def probes(found: NDArray[np.float64], wanted: float) -> int:
    """Return the smallest number of lists with the wanted recall. All lists together always have it."""
    return int(np.searchsorted(found, min(wanted, found[-1]))) + 1
