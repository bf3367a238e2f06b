"""Update the published lists without a search of the catalog, as far as possible.

Every list has k entries and some spare ones. Changed and removed products leave all lists. New and changed products
enter each list whose last entry has a lower score. The remaining entries are then still the best of the catalog. A list
is searched again if its own product changed, if fewer than k entries are left, or if a limit such as `at_most` may let
in a product that is in no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fashion_udf.similar import lists, products, search
from fashion_udf.similar.products import Products
from fashion_udf.similar.selection import Rules

#: The columns of `lists.FOUND`, and whether the list must be searched again.
REPAIRED = pa.schema([*lists.FOUND, pa.field("search", pa.bool_())])
#: Input columns in addition to `products.COLUMNS`. `entries` and `exhausted` are null for a product without a list.
COLUMNS = ("searched", "changed", "entries", "exhausted")


@dataclass(frozen=True, eq=False)
class Changes:
    """The changes since the lists were published.

    Attributes:
        gone: string[g], ids of products that changed or are no longer comparable.
        entering: the new and changed candidates of each pool.
    """

    gone: pa.Array
    entering: Mapping[str, Products]


def repaired(table: pa.Table, changes: Changes, rules: Rules, most: int) -> pa.Table:
    """Return a row with the columns of `REPAIRED` for each product with its old list.

    Args:
        table: products with `products.COLUMNS` and `COLUMNS`.
        changes: the changes since the lists were published.
        rules: the rules of the lists.
        most: maximum of entries in a list.
    """
    parts = [REPAIRED.empty_table()]
    untouched = pc.and_(pc.is_valid(table["entries"]), pc.invert(table["changed"]))
    anew = table.filter(pc.invert(untouched))
    parts.append(_rows(anew["product_id"], _no_entries(len(anew)), _all(True, len(anew)), _all(True, len(anew))))
    table = table.filter(untouched)
    for pool in pc.unique(table["searched"]).to_pylist():
        rows = table.filter(pc.equal(table["searched"], pool) if pool else pc.is_null(table["searched"]))
        parts.append(_of_pool(rows, changes.gone, changes.entering.get(pool or ""), rules, most))
    return pa.concat_tables(parts)


def _of_pool(rows: pa.Table, gone: pa.Array, entering: Products | None, rules: Rules, most: int) -> pa.Table:
    rows = rows.take(pc.sort_indices(rows["product_id"]))
    old = _one(rows["entries"])
    flat, owner = old.flatten(), pc.list_parent_indices(old).to_numpy()
    stays = pc.invert(pc.is_in(flat.field("similar_id"), value_set=gone)).to_numpy(zero_copy_only=False)
    left = np.bincount(owner[stays], minlength=len(rows))
    lost = np.bincount(owner[~stays], minlength=len(rows)) > 0
    exhausted = rows["exhausted"].to_numpy()
    kept = [(owner[stays], flat.filter(pa.array(stays)))]
    entered = np.zeros(len(rows), np.bool_)
    if entering is not None and len(entering):
        queries = products.from_arrow(rows)
        found = _one(lists.found(queries, entering, search.search(queries, entering, rules, most))["entries"])
        new, new_owner = found.flatten(), pc.list_parent_indices(found).to_numpy()
        better = exhausted[new_owner] | _before(new, _last(flat, owner, len(rows)), new_owner)
        kept.append((new_owner[better], new.filter(pa.array(better))))
        entered[new_owner[better]] = True
    united = pa.table([rows["product_id"], _grouped(kept, len(rows)), pa.array(exhausted)], names=lists.FOUND.names)
    anew = (left < rules.k) & ~exhausted
    if rules.at_most:
        anew |= lost | entered
        return _rows(rows["product_id"], old, pa.array(exhausted), pa.array(anew))
    done = lists.merged(united, (), most)
    return _rows(done["product_id"], done["entries"], done["exhausted"], pa.array(anew))


@dataclass(frozen=True, eq=False)
class _Last:
    scores: NDArray[np.float64]  # of the last entry of each list; -inf for an empty one
    ids: NDArray[np.object_]


def _last(entries: pa.StructArray, owner: NDArray[np.intp], count: int) -> _Last:
    last = _Last(np.full(count, np.inf), np.full(count, "", object))
    last.scores[owner] = lists.scores(entries)  # entries are in order: the last one of each list stays
    last.ids[owner] = np.array(entries.field("similar_id").to_pylist(), object)
    return last


def _before(entries: pa.StructArray, last: _Last, owner: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which entries come before the last entry of their list."""
    scores, ids = lists.scores(entries), np.array(entries.field("similar_id").to_pylist(), object)
    tied = scores == last.scores[owner]
    smaller = np.array([a.encode() < b.encode() for a, b in zip(ids[tied], last.ids[owner][tied], strict=True)], bool)
    before = scores > last.scores[owner]
    before[np.flatnonzero(tied)[smaller]] = True
    return before


def _grouped(parts: list[tuple[NDArray[np.intp], pa.StructArray]], count: int) -> pa.ListArray:
    """Return the entries of several arrays as one list for each owner."""
    owner = np.concatenate([part[0] for part in parts])
    flat = pa.concat_arrays([part[1] for part in parts])
    order = np.argsort(owner, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat.take(pa.array(order)), type=pa.list_(lists.ENTRY))


def _rows(ids: pa.Array, entries: pa.Array, exhausted: pa.Array, anew: pa.Array) -> pa.Table:
    columns = [ids, entries, exhausted, anew]
    return pa.table(columns, names=REPAIRED.names).cast(REPAIRED)


def _one(column: pa.ChunkedArray) -> pa.ListArray:
    kind = pa.list_(lists.ENTRY)
    chunks = [chunk.cast(kind) for chunk in column.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)


def _no_entries(count: int) -> pa.Array:
    return pa.array([[]] * count, pa.list_(lists.ENTRY))


def _all(value: bool, count: int) -> pa.Array:
    return pa.array([value] * count, pa.bool_())
