"""A block of products as arrays, for a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating)


@dataclass(frozen=True, eq=False)
class Products:
    """Products in the order of their ids. Missing values are null, or NaN for numbers.

    Attributes:
        ids: string[n], in ascending order of their UTF-8 bytes.
        vectors: float32[n, d], each of unit length.
        category: string[n].
        photo: string[n], sha256 of the photo.
        group: string[n], the item that a product is a variant of.
        caps: string[n, c], values with a limit of entries in a list; one array for each column.
        numbers: float64[n, r], values that are compared by ratio.
    """

    ids: pa.Array
    vectors: NDArray[np.float32]
    category: pa.Array
    photo: pa.Array
    group: pa.Array
    caps: tuple[pa.Array, ...]
    numbers: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of products."""
        return len(self.ids)

    def take(self, rows: NDArray[np.intp]) -> Products:
        """Return some of the products, by their indexes in ascending order."""
        places = pa.array(rows)
        return Products(
            self.ids.take(places),
            self.vectors[rows],
            self.category.take(places),
            self.photo.take(places),
            self.group.take(places),
            tuple(column.take(places) for column in self.caps),
            self.numbers[rows],
        )


#: Columns of the Arrow table that `from_arrow` and `Rows` read.
COLUMNS = ("product_id", "embedding", "category", "photo", "item_group", "caps", "numbers")


class Rows:
    """Products of an Arrow table in any order, from which blocks are taken. Each block copies its vectors once."""

    def __init__(self, table: pa.Table) -> None:
        """Read a table with the columns of `COLUMNS`. `caps` and `numbers` have the same length in every row."""
        columns = {name: _whole(table[name]) for name in COLUMNS if name != "embedding"}
        ids, caps = columns["product_id"], columns["caps"]
        width, flat = _width(caps), caps.flatten()
        self._products = Products(
            ids,
            list_values(table["embedding"], np.float32),
            columns["category"],
            columns["photo"],
            columns["item_group"],
            tuple(flat.take(pa.array(np.arange(place, len(flat), width))) for place in range(width)),
            list_values(pa.chunked_array([columns["numbers"]]), np.float64),
        )
        self._rank = np.empty(len(ids), np.intp)
        self._rank[pc.sort_indices(ids).to_numpy()] = np.arange(len(ids))

    def __len__(self) -> int:
        """Return the number of products."""
        return len(self._rank)

    def in_order(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return row numbers in the order of the products' ids."""
        return rows[np.argsort(self._rank[rows])]

    def block(self, rows: NDArray[np.intp]) -> Products:
        """Return the products of rows that are in the order of `in_order`."""
        return self._products.take(rows)


def from_arrow(table: pa.Table) -> Products:
    """Return all products of a table that `Rows` reads."""
    rows = Rows(table)
    return rows.block(rows.in_order(np.arange(len(rows))))


def by_pool(table: pa.Table) -> dict[str, Products]:
    """Return the products of all pools in the column `held`."""
    rows = Rows(table)
    return {pool: rows.block(rows.in_order(held)) for pool, held in holding(table).items()}


def holding(table: pa.Table) -> dict[str, NDArray[np.intp]]:
    """Return the rows of each pool in the column `held`."""
    held = table["held"].combine_chunks()
    held = pa.concat_arrays(held.chunks) if isinstance(held, pa.ChunkedArray) else held
    owner, names = pc.list_parent_indices(held).to_numpy(), held.flatten().dictionary_encode()
    numbers = names.indices.to_numpy()
    return {pool: owner[numbers == number] for number, pool in enumerate(names.dictionary.to_pylist())}


def list_values(column: pa.ChunkedArray, dtype: type[Float]) -> NDArray[Float]:
    """Return lists of equal length as a matrix. A null becomes NaN."""
    parts = [_matrix(chunk, dtype) for chunk in column.chunks if len(chunk)]
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype)


def codes(*columns: pa.Array) -> list[NDArray[np.int64]]:
    """Return numbers for the values of several columns: equal values have equal numbers, and a null is -1."""
    joined = pa.chunked_array([column.cast(pa.string()) for column in columns]).combine_chunks()
    joined = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
    numbered = joined.dictionary_encode().indices
    values = pc.fill_null(numbered, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.split(values, np.cumsum([len(column) for column in columns])[:-1])


def _matrix(chunk: pa.Array, dtype: type[Float]) -> NDArray[Float]:
    values = chunk.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype).reshape(len(chunk), -1)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array. Text gets 64-bit offsets, because 300,000 ids may be long."""
    kind = pa.large_string() if pa.types.is_string(column.type) else column.type
    chunks = column.cast(kind).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)


def _width(lists: pa.Array) -> int:
    lengths: Sequence[int] = pc.unique(pc.list_value_length(lists)).to_pylist()
    return lengths[0] if lengths else 0
