"""Lists of similar products as Arrow columns: build them from a search, and merge them.

product_id   string
entries      list<struct<similar_id, score, same_category, caps>>   best first
exhausted    bool: no other product may be recommended
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fashion_udf.similar.products import Products, codes
from fashion_udf.similar.search import Lists, Pairs
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
        # Score of the last of all entries: what a new product must reach to enter. Null: it need not reach any.
        pa.field("floor", pa.float32()),
    ]
)


def found(queries: Products, candidates: Products, lists: Lists) -> pa.Table:
    """Return lists as a table with the columns of `FOUND`."""
    filled = lists.places >= 0
    query, _ = np.nonzero(filled)
    entries = _entries(queries, candidates, query, lists.places[filled], lists.scores[filled])
    columns = [queries.ids.cast(pa.string()), _lists(entries, filled.sum(1)), pa.array(lists.exhausted)]
    return pa.table(columns, schema=FOUND)


def of_pairs(queries: Products, candidates: Products, pairs: Pairs) -> pa.Table:
    """Return pairs as a table with the columns of `FOUND`: a row for each query that has one."""
    entries = _entries(queries, candidates, pairs.query, pairs.place, pairs.scores)
    rows, counts = np.unique(pairs.query, return_counts=True)
    ids = queries.ids.take(pa.array(rows)).cast(pa.string())
    return pa.table([ids, _lists(entries, counts), pa.array(np.zeros(len(rows), np.bool_))], schema=FOUND)


def united(parts: Sequence[pa.Table], at_most: tuple[int, ...], most: int) -> pa.Table:
    """Return one list for each product that several tables have one of: each is of other candidates.

    Args:
        parts: with the columns of `FOUND`.
        at_most: as `merged` takes it.
        most: entries of a list.
    """
    table = pa.concat_tables(parts)
    ids = pc.unique(table["product_id"])
    row = pc.index_in(table["product_id"], value_set=ids).to_numpy()
    lists = whole(table["entries"])
    owner = row[pc.list_parent_indices(lists).to_numpy()]
    more = np.bincount(row[~table["exhausted"].to_numpy()], minlength=len(ids)) > 0
    grouped_lists = grouped([(owner, lists.flatten())], len(ids))
    return merged(pa.table([ids, grouped_lists, pa.array(~more)], schema=FOUND), at_most, most)


def grouped(parts: Sequence[tuple[NDArray[np.intp], pa.StructArray]], count: int) -> pa.ListArray:
    """Return entries as one list for each of `count` owners, in the order of the parts."""
    owner = np.concatenate([part[0] for part in parts])
    flat = pa.concat_arrays([part[1] for part in parts])
    order = np.argsort(owner, kind="stable")
    return _lists(flat.take(pa.array(order)), np.bincount(owner, minlength=count))


def published(found: pa.Table, fingerprints: pa.Array, k: int, model_version: str) -> pa.Table:
    """Return lists with the columns of `SIMILAR`.

    Args:
        found: with the columns of `FOUND`.
        fingerprints: int64[n], of the products.
        k: entries of a list that are shown; the others are in reserve.
        model_version: of the tags.
    """
    lists = whole(found["entries"])
    flat, counts = lists.flatten(), pc.list_value_length(lists).to_numpy()
    plain = pa.StructArray.from_arrays([flat.field(field.name) for field in list(ENTRY)[:3]], fields=list(ENTRY)[:3])
    place = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    kind = SIMILAR.field("similar").type
    shown, spare = pa.array(place < k), pa.array(place >= k)
    columns = {
        "product_id": found["product_id"],
        "similar": _lists(plain.filter(shown), np.minimum(counts, k), kind),
        "model_version": pa.array([model_version] * len(found), pa.string()),
        "spare": _lists(plain.filter(spare), np.maximum(counts - k, 0), kind),
        "exhausted": found["exhausted"],
        "fingerprint": fingerprints,
        "floor": _floors(flat, counts, found["exhausted"].to_numpy()),
    }
    return pa.table(columns, schema=SIMILAR)


def found_before(table: pa.Table) -> pa.Table:
    """Return published lists, with the entries in reserve, as a search gives them: the columns of `FOUND`."""
    lists = [whole(table[name], SIMILAR.field("similar").type) for name in ("similar", "spare")]
    flat = pa.concat_arrays([each.flatten() for each in lists])
    none = pa.ListArray.from_arrays(pa.array(np.zeros(len(flat) + 1, np.int32)), pa.array([], pa.string()))
    fields = [*(flat.field(field.name) for field in list(ENTRY)[:3]), none]
    entries = pa.StructArray.from_arrays(fields, fields=list(ENTRY))
    owner = np.concatenate([pc.list_parent_indices(each).to_numpy() for each in lists])
    return pa.table([table["product_id"], grouped([(owner, entries)], len(table)), table["exhausted"]], schema=FOUND)


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
    lists = whole(table["entries"])
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


def whole(column: pa.ChunkedArray, kind: pa.DataType | None = None) -> pa.ListArray:
    """Return a column of lists in one piece, by default of `ENTRY`."""
    kind = kind or pa.list_(ENTRY)
    chunks = [chunk.cast(kind) for chunk in column.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)


def _entries(
    queries: Products,
    candidates: Products,
    query: NDArray[np.intp],
    places: NDArray[np.intp],
    scores: NDArray[np.float64],
) -> pa.StructArray:
    taken = pa.array(places)
    own, other = codes(queries.category, candidates.category)
    columns = [
        candidates.ids.take(taken).cast(pa.string()),
        pa.array(scores.astype(np.float32)),
        pa.array(own[query] == other[places]),
        _caps(candidates, taken),
    ]
    return pa.StructArray.from_arrays(columns, fields=list(ENTRY))


def _floors(flat: pa.StructArray, counts: NDArray[np.int64], exhausted: NDArray[np.bool_]) -> pa.Array:
    none = exhausted | (counts == 0)
    last = np.zeros(len(counts), np.float32)
    last[~none] = flat.field("score").to_numpy()[np.cumsum(counts)[~none] - 1]
    return pa.array(last, mask=none)


def _lists(entries: pa.StructArray, counts: NDArray[np.intp], kind: pa.DataType | None = None) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), entries, type=kind or pa.list_(ENTRY))


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
