"""Properties that a product shares with the products of the nearest embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.split import normalised_title

_CHUNK = 512  # rows whose similarities are in memory at a time


def shared(
    queries: tuple[NDArray[np.float32], Sequence[str]],
    references: tuple[NDArray[np.float32], Sequence[str]],
    properties: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int32]]],
    count: int,
) -> dict[str, float]:
    """Return the mean share of the nearest references, by cosine, that share a property with the query.

    References with the query's title are ignored: the query itself, and other colours and sizes of it. Pairs with an
    unknown property do not count for it.

    Args:
        queries: embeddings float32[n, d] of unit length, and n titles.
        references: the same of m products.
        properties: name -> indexes int32[n] of the queries and int32[m] of the references; -1 if unknown.
        count: number of neighbours, at most all references.

    Returns:
        The share for each property, and `last_score`, the mean cosine of the query and its farthest neighbour.
    """
    own, theirs = ([normalised_title(title) for title in titles] for _, titles in (queries, references))
    places: dict[str | None, list[int]] = {}
    for place, title in enumerate(theirs):
        places.setdefault(title, []).append(place)
    same: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in properties}
    scores = []
    for start in range(0, len(queries[0]), _CHUNK):
        similarity = queries[0][start : start + _CHUNK] @ references[0].T
        for row, title in enumerate(own[start : start + _CHUNK]):
            if title is not None:
                similarity[row, places.get(title, [])] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        found = np.take_along_axis(similarity, nearest, axis=1) > -np.inf
        scores.append(np.where(found, np.take_along_axis(similarity, nearest, axis=1), np.inf).min(axis=1))
        for name, (query_values, reference_values) in properties.items():
            value, values = query_values[start : start + _CHUNK, None], reference_values[nearest]
            same[name].append((value == values)[found & (value >= 0) & (values >= 0)])
    figures = {name: float(np.concatenate(parts).mean()) for name, parts in same.items() if sum(map(len, parts))}
    lasts = np.concatenate([np.empty(0), *scores])
    return figures | ({"last_score": float(lasts[np.isfinite(lasts)].mean())} if np.isfinite(lasts).any() else {})
