"""The most similar products of each row of the review queue. A separate thread reads them once during the review.

Lists come from the published table of similar products, categories from the tags, titles and places of photos from
`runs/<run_id>/products.parquet`. At most six products for each row are kept.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.errors import FashionError, InputError, one_line
from fashion_udf.pages import products, review_queue
from fashion_udf.pages.products import PRODUCTS
from fashion_udf.pages.review_queue import PhotoPlace, Queue
from fashion_udf.schema import TAGS
from fashion_udf.table import data_files, paths, similar_table, snapshot

#: Maximum of products that are shown for a row.
SHOWN = 6
READING = "Similar products are being read…"
_HOW = (
    "There are no similar products of this model: "
    "fashion-udf recommend --config conf/similar.yaml --set output.path={} finds them."
)
_BATCH = 65_536  # rows of a file at a time


@dataclass(frozen=True)
class Found:
    """The similar products that were read.

    Attributes:
        told: why there are no similar products; empty if lists were read.
        starts: int[n + 1], start of each row's products in `places`.
        places: int[p], rows of `shown`.
        shown: the products, with the columns of `PRODUCTS` and `category`.
    """

    told: str
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    shown: pa.Table


class SimilarProducts:
    """The similar products of a queue. Several threads may use it while it reads."""

    def __init__(self, output: str, queue: Queue) -> None:
        """Set the queue. Nothing is read before `read`."""
        self._output, self._queue = output, queue
        self._found = self._nothing(READING)

    def read(self) -> None:
        """Read the similar products of the queue. If this fails, `of` returns the reason."""
        try:
            self._found = _read(self._output, self._queue)
        except InputError:  # there are no lists, or they have another model
            self._found = self._nothing(_HOW.format(shlex.quote(self._output)))
        except (FashionError, OSError, pa.ArrowException) as error:
            self._found = self._nothing(f"The similar products cannot be read: {one_line(error)}")

    def of(self, row: int) -> dict[str, Any]:
        """Return the similar products of a row of the queue.

        Returns:
            `told`, a line of text if there are none; `reading`, whether they are still being read; `products`, the most
            similar first, each with `index` (of its photo), `product_id`, `title`, `category` and `has_photo`.
        """
        found = self._found
        places = found.places[found.starts[row] : found.starts[row + 1]].tolist()
        told = found.told or ("" if places else "No product is known to be like this one.")
        return {"told": told, "reading": told == READING, "products": [_shown(found.shown, place) for place in places]}

    def photo(self, index: int) -> PhotoPlace | None:
        """Return the place of a similar product's photo; None if there is no such product."""
        shown = self._found.shown
        return review_queue.photo_place(shown, index) if index < shown.num_rows else None

    def _nothing(self, told: str) -> Found:
        return Found(told, np.zeros(len(self._queue) + 1, np.int64), np.zeros(0, np.int64), pa.table({}))


def _shown(rows: pa.Table, index: int) -> dict[str, Any]:
    names = ("product_id", "title", "category")
    has_photo = review_queue.photo_place(rows, index).known
    return {**{name: rows[name][index].as_py() for name in names}, "index": index, "has_photo": has_photo}


def _read(output: str, queue: Queue) -> Found:
    pairs = similar_table.pairs(output, queue.rows["product_id"].to_pylist(), missing="leave out")
    pairs = pairs.filter(pc.less_equal(pairs["position"], SHOWN))
    ids = pc.unique(pairs["similar_id"])
    names = [name for name in PRODUCTS.names if name not in ("product_id", "description")]
    columns = {"product_id": ids, **_columns(_product_files(output, queue.run_id), ids, PRODUCTS, names)}
    tags = (file for _, file in data_files.opened(output, snapshot.newest(output)))
    shown = pa.table({**columns, **_columns(tags, ids, TAGS, ["category"])})
    # Arrow and numpy, because Python loops over 600,000 products would block the page.
    owner = pc.index_in(pairs["product_id"], queue.rows["product_id"].combine_chunks()).to_numpy()
    places = pc.index_in(pairs["similar_id"], ids).to_numpy().astype(np.int64)
    return Found("", np.searchsorted(owner, np.arange(len(queue) + 1)), places, shown)


def _columns(
    files: Iterable[BinaryIO], ids: pa.Array, schema: pa.Schema, names: Sequence[str]
) -> dict[str, pa.ChunkedArray]:
    """Return columns of Parquet files for some products, in the order of the ids; null for a missing product."""
    found = [pa.schema([schema.field(name).with_nullable(True) for name in ("product_id", *names)]).empty_table()]
    for file in files:
        with file, pq.ParquetFile(file) as source:
            for batch in source.iter_batches(_BATCH, columns=found[0].column_names):
                rows = pa.table(batch).filter(pc.is_in(batch["product_id"], ids))
                found.append(rows.select(found[0].column_names).cast(found[0].schema))
    table = pa.concat_tables(found)
    places = pc.index_in(ids, table["product_id"].combine_chunks())
    return {name: table[name].take(places) for name in names}


def _product_files(output: str, run_id: str) -> Iterator[BinaryIO]:
    """Yield the product files of a run. A run of an earlier release has none: its products are shown by their ids."""
    place = paths.run_dir(output, run_id) / products.NAME
    for name in data_files.listed(place):
        yield place.store.open(f"{place.key}/{name}")
