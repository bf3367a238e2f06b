"""Lists of similar products as Arrow columns: build them from a search, and merge them.

product_id   string
entries      list<struct<similar_id, score, same_category, caps>>   best first
exhausted    bool: no other product may be recommended
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fashion_udf.similar.products import Products, codes
from fashion_udf.similar.search import Lists
from fashion_udf.similar.selection import DECIMALS, choose

ENTRY = pa.struct(
    [
        pa.field("similar_id", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("same_category", pa.bool_()),
        pa.field("caps", pa.list_(pa.string())),  # of `Products.caps`; empty if a list has no limits
    ]
)
FOUND = pa.schema(
    [pa.field("product_id", pa.string()), pa.field("entries", pa.list_(ENTRY)), pa.field("exhausted", pa.bool_())]
)

#: The published table: one row for each compared product.
SIMILAR = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("similar", pa.list_(pa.struct(list(ENTRY)[:3])), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        # For the next night: the entries after those above, whether there are no others, and a hash of the inputs.
        pa.field("spare", pa.list_(pa.struct(list(ENTRY)[:3])), nullable=False),
        pa.field("exhausted", pa.bool_(), nullable=False),
        pa.field("fingerprint", pa.int64(), nullable=False),
    ]
)


def found(queries: Products, candidates: Products, lists: Lists) -> pa.Table:
    """Return lists as a table with the columns of `FOUND`."""
    filled = lists.places >= 0
    query, _ = np.nonzero(filled)
    places = pa.array(lists.places[filled])
    own, other = codes(queries.category, candidates.category)
    entries = pa.StructArray.from_arrays(
        [
            candidates.ids.take(places).cast(pa.string()),
            pa.array(lists.scores[filled].astype(np.float32)),
            pa.array(own[query] == other[lists.places[filled]]),
            _caps(candidates, places),
        ],
        fields=list(ENTRY),
    )
    columns = [queries.ids.cast(pa.string()), _lists(entries, filled.sum(1)), pa.array(lists.exhausted)]
    return pa.table(columns, schema=FOUND)


def merged(table: pa.Table, at_most: tuple[int, ...], most: int) -> pa.Table:
    """Sort the entries of each row, and select those of the list.

    Args:
        table: a table with the columns of `FOUND`; entries in any order, each product once in a row.
        at_most: maximum of entries with the same value, for each of `caps`.
        most: maximum of entries in a list.

    Returns:
        The same rows. A list stays exhausted if no entry was removed.
    """
    table = table.combine_chunks()
    lists = table["entries"].combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    flat, owner = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    ids = np.empty(len(flat), np.int64)
    ids[pc.sort_indices(flat.field("similar_id")).to_numpy()] = np.arange(len(flat))
    order = np.lexsort((ids, -scores(flat), owner))
    owner = owner[order]
    counts = np.bincount(owner, minlength=len(table))
    column = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (len(table), int(counts.max(initial=0)))
    fine = np.zeros(shape, np.bool_)
    fine[owner, column] = True
    caps = [_matrix(numbers[order], owner, column, shape) for numbers in _cap_codes(flat, len(at_most))]
    taken = choose(fine, caps, at_most, most)
    kept = pa.array(order[taken[owner, column]])
    exhausted = table["exhausted"].to_numpy() & (counts <= most)
    return pa.table([table["product_id"], _lists(flat.take(kept), taken.sum(1)), pa.array(exhausted)], schema=FOUND)


def scores(entries: pa.StructArray) -> NDArray[np.float64]:
    """Return the scores of entries, rounded as in a search."""
    return np.asarray(np.round(entries.field("score").to_numpy().astype(np.float64), DECIMALS))


def _lists(entries: pa.StructArray, counts: NDArray[np.intp]) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), entries, type=pa.list_(ENTRY))


def _caps(candidates: Products, places: pa.Array) -> pa.ListArray:
    width = len(candidates.caps)
    offsets = pa.array(np.arange(len(places) + 1, dtype=np.int32) * width)
    if not width:
        return pa.ListArray.from_arrays(offsets, pa.array([], pa.string()))
    columns = [column.take(places).cast(pa.string()) for column in candidates.caps]
    by_column = pa.concat_arrays(columns)
    by_row = np.arange(len(by_column)).reshape(width, -1).T.ravel()
    return pa.ListArray.from_arrays(offsets, by_column.take(pa.array(by_row)))


def _cap_codes(entries: pa.StructArray, width: int) -> list[NDArray[np.int64]]:
    values = entries.field("caps").flatten()
    return [codes(values.take(pa.array(np.arange(place, len(values), width))))[0] for place in range(width)]


def _matrix(
    values: NDArray[np.int64], row: NDArray[np.intp], column: NDArray[np.intp], shape: tuple[int, int]
) -> NDArray[np.int64]:
    matrix = np.full(shape, -1, np.int64)
    matrix[row, column] = values
    return matrix
