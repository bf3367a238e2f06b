"""The review queue in memory: up to 100,000 rows with fast filters."""

from __future__ import annotations

import io
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.errors import InputError
from fashion_udf.pages import former_runs
from fashion_udf.pages.queue import QUEUE
from fashion_udf.photos.parquet_photos import FILE, ROW
from fashion_udf.table import paths, snapshot
from fashion_udf.table.store import Store
from fashion_udf.table.stores import open_store

#: Rows of one category that a reviewer claims at a time.
CELL_ROWS = 8
_MAX_BYTES = 2_000_000_000


@dataclass(frozen=True)
class PhotoPlace:
    """Where the photo of a product is: a URI, or a file of the catalog and the row's position in it."""

    product_id: str
    image_uri: str | None
    file: str | None
    row: int | None

    @property
    def known(self) -> bool:
        """Return whether the place is known. A photo that only Spark can read has no place."""
        return self.image_uri is not None or self.row is not None


def photo_place(rows: pa.Table, index: int) -> PhotoPlace:
    """Return the place of a row's photo, from the columns of `products.PRODUCTS`."""
    return PhotoPlace(*(rows[name][index].as_py() for name in ("product_id", "image_uri", FILE, ROW)))


@dataclass(frozen=True)
class Filters:
    """Which rows of the queue to show. An empty text means any."""

    category: str = ""
    status: str = ""
    decision: str = ""
    suspect: str = ""  # photo or text
    text: str = ""  # in the id, the title or the description


class Queue:
    """The rows of `queue.parquet`, the highest worth first.

    Attributes:
        run_id: id of the run that wrote the queue.
        published: whether that run made the published table.
        rows: columns of `QUEUE`.
        labels: categories of the model, sorted.
        reading: settings to read photos: `queue.json`.
        cells: int[n], the cell of each row.
    """

    def __init__(self, run_id: str, rows: pa.Table, reading: Mapping[str, Any], published: bool = True) -> None:
        """Index the rows."""
        self.run_id, self.rows, self.reading = run_id, rows.combine_chunks(), reading
        self.published = published
        self.labels = sorted({*reading.get("labels", ()), *pc.unique(rows["category"]).drop_null().to_pylist()})
        self.place = {product_id: row for row, product_id in enumerate(rows["product_id"].to_pylist())}
        self._columns = {name: _codes(rows[name]) for name in ("category", "status", "decision", "suspect")}
        self.cells = _cells(self._columns["category"][0])
        parts = [pc.coalesce(rows[name], "") for name in ("product_id", "title", "description")]
        texts = pc.utf8_lower(pc.binary_join_element_wise(*parts, "\n")).cast(pa.large_binary())
        self._texts = b"\0".join(texts.to_pylist())
        self._starts = [0, *np.cumsum(pc.binary_length(texts).to_numpy() + 1).tolist()]  # of each row's text

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.rows.num_rows)

    def matching(self, filters: Filters) -> NDArray[np.bool_]:
        """Return bool[n]: which rows match all filters."""
        mask = np.ones(len(self), bool)
        for name, (codes, values) in self._columns.items():
            if wanted := getattr(filters, name):
                mask &= codes == values.get(wanted, -2)
        if filters.text:
            mask &= self._containing(filters.text)
        return mask

    def _containing(self, text: str) -> NDArray[np.bool_]:
        """Return bool[n]: which rows' texts contain a text. One pass over all texts is faster than Arrow's function."""
        wanted = text.lower().replace("\0", "").encode("utf-8", "replace")
        mask, start = np.zeros(len(self), bool), 0
        while wanted and (at := self._texts.find(wanted, start)) >= 0:
            row = bisect_right(self._starts, at) - 1
            mask[row] = True
            start = self._starts[row + 1]
        return mask

    def values(self, name: str) -> list[str]:
        """Return the sorted values of a filter's column."""
        return sorted(self._columns[name][1])

    def row(self, index: int) -> dict[str, Any]:
        """Return the fields of a row for the reviewer."""
        found = {name: self.rows[name][index].as_py() for name in QUEUE.names}
        top = [dict(entry) for entry in found.pop("top_categories") or ()][:5]
        hidden = ("image_uri", FILE, ROW, "fingerprint")
        shown = {name: value for name, value in found.items() if name not in hidden}
        return {**shown, "index": index, "top": top, "has_photo": photo_place(self.rows, index).known}


def read(output: str) -> Queue:
    """Read the queue of the published table or, if its run has none, the newest queue of another run.

    A refused run has a queue too. It is used after a person has published its table.

    Args:
        output: root of the output.

    Raises:
        InputError: there is no queue, or it cannot be read.
        SnapshotError: the log of the table is damaged.
    """
    store, commit = open_store(output), snapshot.current(output)
    published = paths.run_of(commit.snapshot_id) if commit else None
    run_ids = [published] if published and _has_queue(store, published) else _of_published_runs(store)
    for run_id in run_ids:
        try:
            folder = f"runs/{run_id}/queue.parquet"
            names = [name for name in store.list_names(folder) if name.endswith(".parquet") and name[0] not in "._"]
            parts = [pq.read_table(io.BytesIO(store.read(f"{folder}/{name}", _MAX_BYTES))) for name in names]
            rows = pa.concat_tables([part.select(QUEUE.names).cast(_nullable()) for part in parts])
            reading = json.loads(store.read(f"runs/{run_id}/queue.json", _MAX_BYTES))
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise InputError(f"Expected a review queue in runs/{run_id}. Received: {error}") from error
        return Queue(run_id, rows, reading, published in (None, run_id))
    raise InputError(
        "Expected a review queue in --output: `fashion-udf tag` writes one when it publishes. Received: none in runs/"
    )


def _of_published_runs(store: Store) -> Iterator[str]:
    """Yield the runs with a queue, newest first, without refused runs."""
    for run_id in reversed(store.list_names("runs")):
        if (
            _has_queue(store, run_id)
            and former_runs.tree(store, f"runs/{run_id}/outcome.json").get("exit_code", 0) == 0
        ):
            yield run_id


def _has_queue(store: Store, run_id: str) -> bool:
    return "queue.json" in store.list_names(f"runs/{run_id}")


def _nullable() -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in QUEUE])


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], dict[str, int]]:
    """Return a number for each row's value, -1 for null, and the numbers by value."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = {value: code for code, value in enumerate(encoded.dictionary.to_pylist())}
    return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32), values


def _cells(categories: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return int[n]: successive rows of the same category share a cell of at most `CELL_ROWS`."""
    order = np.argsort(categories, kind="stable")
    ordered = categories[order]
    first = np.searchsorted(ordered, ordered)  # start of the category of each ordered row
    within = (np.arange(len(ordered)) - first) // CELL_ROWS
    starts = np.ones(len(ordered), bool)
    starts[1:] = (ordered[1:] != ordered[:-1]) | (within[1:] != within[:-1])
    cells = np.empty(len(ordered), np.int64)
    cells[order] = np.cumsum(starts) - 1
    return cells
