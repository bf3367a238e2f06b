"""The published lists of similar products, for programs. They are readable while the tags have the same model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fashion_udf.errors import InputError
from fashion_udf.table import data_files, paths, snapshot
from fashion_udf.table.commit import Commit


@dataclass(frozen=True)
class Current:
    """The current lists.

    Attributes:
        commit: the commit of the lists.
        tags_behind: number of tags commits since the one that the lists were made from.
    """

    commit: Commit
    tags_behind: int


def current(output: str) -> Current:
    """Return the newest lists.

    Raises:
        InputError: there are no lists, or the current tags have another model. Embeddings of two models cannot be
            compared.
        SnapshotError: a log is damaged.
    """
    tags, commit = snapshot.newest(output), snapshot.current(output, paths.SIMILAR)
    if commit is None or commit.made_from is None:
        raise InputError(f"Expected lists of similar products in {output}. Received: none. Run `fashion-udf recommend`")
    if commit.model_version != tags.model_version:
        raise InputError(
            f"Expected lists of the current tags' model, {tags.model_version[:12]}. Received: "
            f"{commit.model_version[:12]}. Run `fashion-udf recommend`"
        )
    return Current(commit, tags.number - commit.made_from.tags)


def pairs(
    output: str, product_ids: Sequence[str] | None = None, missing: Literal["refuse", "leave out"] = "refuse"
) -> pa.Table:
    """Return a row for each entry of the lists of some or all products: best first, in the order of `product_ids`.

    Args:
        output: root of the output.
        product_ids: whose lists.
        missing: what to do about a product that has no list.

    Returns:
        `product_id`, `position` (from 1), `similar_id`, `score`, `same_category`.

    Raises:
        InputError: as in `current`, or a product has no list and `missing` is "refuse". Names the first ten.
    """
    found = current(output)
    chosen = None if product_ids is None else [("product_id", "in", list(product_ids) or [""])]
    columns = ["product_id", "similar"]
    tables = []
    for _, file in data_files.opened(output, found.commit, paths.SIMILAR):
        with file:
            tables.append(pq.read_table(file, columns=columns, filters=chosen))
    table = pa.concat_tables(tables)
    if product_ids is not None:
        table = table.take(_places(table["product_id"], product_ids, missing == "refuse"))
    lists = pa.concat_arrays(table["similar"].chunks) if len(table) else pa.array([], table["similar"].type)
    owner, entries = pc.list_parent_indices(lists), lists.flatten()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_pylist()
    positions = [place for length in lengths for place in range(1, length + 1)]
    return pa.table(
        {
            "product_id": table["product_id"].take(owner),
            "position": pa.array(positions, pa.int32()),
            **{name: entries.field(name) for name in ("similar_id", "score", "same_category")},
        }
    )


def _places(ids: pa.ChunkedArray, wanted: Sequence[str], all_of_them: bool) -> pa.Array:
    places = pc.index_in(pa.array(list(wanted), pa.string()), value_set=ids.combine_chunks())
    if places.null_count and all_of_them:
        missing = [name for name, place in zip(wanted, places.to_pylist(), strict=True) if place is None]
        raise InputError(
            f"Expected products with a list. Received: {', '.join(map(repr, missing[:10]))}, which have none"
        )
    return places.drop_null()
