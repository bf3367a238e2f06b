"""Update the published lists without a search of the catalog, as far as possible.

Every list holds its k entries and some more in reserve. Changed and removed products leave all lists. A new or changed
product enters each list whose last entry has a lower score. After that, a list still holds the best entries of the
catalog. A list is searched again if its own product changed, or if fewer than k entries are left. With a limit such as
`at_most`, a list that lost or gained an entry is searched again too, because a product in no list may take the place.

The score of the last entry, the floor of a list, is enough to tell which products may enter the list. The floors are in
a table with a place for each hash of an id. Products with the same place share the lower floor. So a few more entries
are found than enter, and the update of the list drops them.
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
from fashion_udf.similar.selection import DECIMALS, Rules

#: Results of a part of the catalog: lists of searched products (`own`), and entries for the lists of other products.
COMPARED = pa.schema([*lists.FOUND, pa.field("own", pa.bool_())])
#: Columns besides `products.COLUMNS`. `place` is the product's place in the table of floors.
COLUMNS = ("held", "searched", "place")


@dataclass(frozen=True, eq=False)
class Arriving:
    """The products to compare with the whole catalog.

    Attributes:
        ids: string[a], ids of the candidates.
        queries: products whose lists are searched, by the pool to search.
        candidates: new and changed products, by the pools that contain them.
        floors: float32[2^n], the minimum score of a candidate; -inf accepts any candidate.
    """

    ids: pa.Array
    queries: Mapping[str, Products]
    candidates: Mapping[str, Products]
    floors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Night:
    """The changes to the published lists.

    Attributes:
        gone: string[g], ids of changed and removed products.
        found: the searched lists, with the columns of `lists.FOUND`.
        fingerprints: int64[f], fingerprints of the products of `found`.
        files: int[f], number of the file to add a list of `found` to; -1 if a file already has a list of the product.
        entering: entries that may enter lists, with the columns of `lists.FOUND`.
        model_version: version of the tags' model.
    """

    gone: pa.Array
    found: pa.Table
    fingerprints: pa.Array
    files: pa.Array
    entering: pa.Table
    model_version: str


def compared(table: pa.Table, arriving: Arriving, rules: Rules, most: int) -> pa.Table:
    """Compare a part of the catalog with the arriving products. Return the columns of `COMPARED`.

    Args:
        table: products, with `products.COLUMNS` and `COLUMNS`.
        arriving: the products to compare with.
        rules: the rules of the lists.
        most: maximum number of entries of a list.
    """
    parts, rows, held = [COMPARED.empty_table()], products.Rows(table), products.holding(table)
    for pool, queries in arriving.queries.items():
        if pool not in held:
            continue
        block = rows.block(rows.in_order(held[pool]))
        parts.append(_kind(lists.found(queries, block, search.search(queries, block, rules, most)), True))
    others = pc.invert(pc.is_in(table["product_id"], value_set=arriving.ids))
    places = table["place"].to_numpy()
    for pool, candidates in arriving.candidates.items():
        meant = pc.and_(others, pc.fill_null(pc.equal(table["searched"], pool), False))
        chosen = rows.in_order(np.flatnonzero(meant.to_numpy()))
        floors = np.round(arriving.floors[places[chosen]].astype(np.float64), DECIMALS)
        block = rows.block(chosen)
        parts.append(_kind(lists.of_pairs(block, candidates, search.reaching(block, candidates, floors, rules)), False))
    return pa.concat_tables(parts)


def to_search(old: pa.Table, gone: pa.Array, entering: pa.Table, rules: Rules) -> pa.Array:
    """Return the ids of unchanged products whose lists must be searched again.

    Args:
        old: published lists, with `product_id`, `similar`, `spare` and `exhausted`.
        gone: ids of changed and removed products.
        entering: as in `Night`.
        rules: the rules of the lists.
    """
    if rules.at_most:
        each = _updated(lists.found_before(old), gone, entering)
        anew = each.lost | each.entered | ((each.left < rules.k) & ~each.exhausted)
    else:  # only the number of entries that stay decides
        anew = (_staying(old, gone) < rules.k) & ~old["exhausted"].to_numpy()
    stays = pc.invert(pc.is_in(old["product_id"], value_set=gone)).to_numpy()
    return ids_of(old).filter(pa.array(anew & stays))


def repaired(old: pa.Table, number: int, night: Night, rules: Rules, most: int) -> pa.Table:
    """Update a file of lists. Return the columns of `lists.SIMILAR`, ordered by product id.

    Args:
        old: the file's lists, with the same columns.
        number: number of the file.
        night: the changes to the lists.
        rules: the rules of the lists.
        most: maximum number of entries of a list.
    """
    ids, searched = ids_of(old), ids_of(night.found)
    leaves = pc.or_(pc.is_in(ids, value_set=night.gone), pc.is_in(ids, value_set=searched))
    here = pc.or_(pc.is_in(searched, value_set=ids), pc.equal(night.files, number))
    old = old.filter(pc.invert(leaves))
    held = sum(pc.list_value_length(old[name]).to_numpy() for name in ("similar", "spare"))
    meant = pa.array(_staying(old, night.gone) < held)
    meant = pc.or_(meant, pc.is_in(ids_of(old), value_set=ids_of(night.entering)))
    others, old = old.filter(pc.invert(meant)), old.filter(meant)
    each = _updated(lists.found_before(old), night.gone, night.entering)
    touched = pa.array(each.lost | each.entered)
    merged = lists.merged(each.united.filter(touched), (), most)
    found = pa.concat_tables([merged, night.found.filter(here)])
    prints = pa.chunked_array([old["fingerprint"].combine_chunks().filter(touched), night.fingerprints.filter(here)])
    parts = [
        others,
        old.filter(pc.invert(touched)),
        lists.published(found, prints.combine_chunks(), rules.k, night.model_version),
    ]
    whole = pa.concat_tables([part.cast(lists.SIMILAR) for part in parts])
    return whole.take(pc.sort_indices(whole["product_id"]))


def ids_of(table: pa.Table) -> pa.Array:
    """Return the ids of a table's products in one piece."""
    chunks = [chunk.cast(pa.string()) for chunk in table["product_id"].chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())


@dataclass(frozen=True, eq=False)
class _Updated:
    united: pa.Table  # the columns of `lists.FOUND`: what is left, and what enters; in no order, and of any length
    left: NDArray[np.intp]  # entries that stay
    lost: NDArray[np.bool_]  # whether an entry left
    entered: NDArray[np.bool_]
    exhausted: NDArray[np.bool_]


def _staying(old: pa.Table, gone: pa.Array) -> NDArray[np.intp]:
    """Return how many entries of each published list, those in reserve included, are not gone."""
    staying = np.zeros(len(old), np.intp)
    for name in ("similar", "spare"):
        entries = lists.whole(old[name], lists.SIMILAR.field(name).type)
        stays = pc.invert(pc.is_in(entries.flatten().field("similar_id"), value_set=gone))
        staying += np.bincount(
            pc.list_parent_indices(entries).to_numpy()[stays.to_numpy(zero_copy_only=False)], minlength=len(old)
        )
    return staying


def _updated(old: pa.Table, gone: pa.Array, entering: pa.Table) -> _Updated:
    count, exhausted = len(old), old["exhausted"].to_numpy()
    entries = lists.whole(old["entries"])
    flat, owner = entries.flatten(), pc.list_parent_indices(entries).to_numpy()
    stays = pc.invert(pc.is_in(flat.field("similar_id"), value_set=gone)).to_numpy(zero_copy_only=False)
    row = pc.index_in(entering["product_id"], value_set=ids_of(old))
    mine = entering.filter(pc.is_valid(row))
    new = lists.whole(mine["entries"])
    new_owner = row.drop_null().to_numpy()[pc.list_parent_indices(new).to_numpy()].astype(np.intp)
    better = exhausted[new_owner] | _before(new.flatten(), _last(flat, owner, count), new_owner)
    kept = [(owner[stays], flat.filter(pa.array(stays))), (new_owner[better], new.flatten().filter(pa.array(better)))]
    united = pa.table([old["product_id"], lists.grouped(kept, count), old["exhausted"]], schema=lists.FOUND)
    left, lost = np.bincount(owner[stays], minlength=count), np.bincount(owner[~stays], minlength=count) > 0
    return _Updated(united, left, lost, np.bincount(new_owner[better], minlength=count) > 0, exhausted)


@dataclass(frozen=True, eq=False)
class _Last:
    scores: NDArray[np.float64]  # of the last entry of each list; +inf for an empty one
    ids: pa.Array  # null for an empty one


def _last(entries: pa.StructArray, owner: NDArray[np.intp], count: int) -> _Last:
    ends = np.full(count, -1)
    ends[owner] = np.arange(len(owner))  # entries are in order: the last one of each list stays
    scores = np.full(count, np.inf)
    scores[ends >= 0] = lists.scores(entries)[ends[ends >= 0]]
    return _Last(scores, entries.field("similar_id").take(pa.array(ends, mask=ends < 0)))


def _before(entries: pa.StructArray, last: _Last, owner: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which entries stand before the last one of their list."""
    scores = lists.scores(entries)
    smaller = pc.less(entries.field("similar_id"), last.ids.take(pa.array(owner)))
    tied = (scores == last.scores[owner]) & pc.fill_null(smaller, False).to_numpy(zero_copy_only=False)
    return np.asarray((scores > last.scores[owner]) | tied)


def _kind(found: pa.Table, own: bool) -> pa.Table:
    return pa.table([*found.columns, pa.array([own] * len(found), pa.bool_())], schema=COMPARED)
