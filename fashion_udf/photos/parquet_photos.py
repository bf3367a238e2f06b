"""Photos inside Parquet files, read by the Python workers, row group by row group.

Spark's own reader needs heap for a whole row group, and several times as much if the photos are in a dictionary, as
most writers put them. So Spark only reads the other columns, with the file of each row and its position in the file,
and no photo enters the heap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.errors import CatalogError
from fashion_udf.photos import parquet_cells
from fashion_udf.photos.parquet_cells import Path

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Added columns: the file of a row, as Spark names it, and the row's position in it, from 0.
FILE, ROW = "file", "row"
#: Maximum of rows of a file that are decoded at a time, and of bytes of their photos.
_ROWS, _BYTES = 16, 8_000_000
#: Bytes of a column that are read ahead. By default, pyarrow reads the whole column of a row group at once.
_READ_AHEAD = 1 << 20


@dataclass(frozen=True)
class PhotoColumn:
    """The columns of photos and ids in a catalog's files, named in any case. The id proves that a photo is the row's.

    Attributes:
        images: paths of photos. The first one that is not null is the photo of a row.
        product_id: path of the id.
    """

    images: tuple[Path, ...]
    product_id: Path


def local_path(uri: str) -> str | None:
    """Return the path of a local file by Spark's name for it (`file:///a%20b`); None for a remote file."""
    if not uri.startswith("file:"):
        return None
    path = uri.removeprefix("file:")
    return unquote(path[2:] if path.startswith("//") else path)


def place() -> Column:
    """Return the struct for `Reader.photos`, with which a UDF reads the photo of a row."""
    from pyspark.sql import functions as F

    return F.struct(FILE, ROW, "product_id")


def in_file_order(rows: DataFrame, tasks: int) -> DataFrame:
    """Divide the rows among `tasks` in the order of the files, so that few tasks read each row group."""
    return rows.repartitionByRange(tasks, FILE, ROW).sortWithinPartitions(FILE, ROW)


def facts_udf(column: PhotoColumn) -> Callable[..., Column]:
    """Return a UDF over `place()` that yields `sha256` (hexadecimal) and `bytes` of a photo; null if there is none."""
    from pyspark.sql.pandas.functions import pandas_udf

    def facts(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        with Reader(column) as reader:
            for places in batches:
                found = [(sha256(photo).hexdigest(), len(photo)) if photo is not None else (None, None)
                         for photo in reader.photos(places)]  # fmt: skip
                digests, sizes = zip(*found, strict=True) if found else ((), ())
                yield pd.DataFrame(
                    {"sha256": pd.Series(digests, dtype=object), "bytes": pd.Series(sizes, dtype="Int64")}
                )

    return pandas_udf(facts, "sha256 string, bytes long")  # type: ignore[call-overload, no-any-return]


def without_photo(source: DataFrame, column: PhotoColumn) -> DataFrame:
    """Return `product_id` of the rows without a photo. Row groups without a null in their statistics are not read."""
    spark = source.sparkSession
    files = source.inputFiles()

    def ids(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        with Reader(column) as reader:
            for frame in frames:
                for file in frame[FILE]:
                    yield pd.DataFrame({"product_id": pd.Series(reader.ids_without_photo(file), dtype=object)})

    tasks = max(1, min(len(files), 4 * spark.sparkContext.defaultParallelism))
    listed = spark.createDataFrame([(file,) for file in files], f"{FILE} string").repartition(tasks)
    return listed.mapInPandas(ids, "product_id string")


def largest_row_group(file: str, column: PhotoColumn) -> int:
    """Return the bytes of the photos of a file's largest row group; 0 if this process cannot open the file."""
    try:
        with Reader(column) as reader:
            return max(reader.row_group_bytes(file), default=0)
    except CatalogError:
        return 0


class Reader:
    """Reads photos of rows in the order of their files. In another order, row groups would be read repeatedly."""

    def __init__(self, column: PhotoColumn) -> None:
        """Set the columns. No file is opened."""
        self._column = column
        self._name: str | None = None  # Spark's name of the open file
        self._file: pq.ParquetFile | None = None
        self._id: Path | None = None  # in the file, if it has ids
        self._images: list[Path] = []  # those that the file has
        self._starts: list[int] = []  # first row of each row group, and the number of rows
        self._group = -1
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._batch: pa.RecordBatch | None = None
        self._first, self._end = 0, 0  # rows of the batch

    def __enter__(self) -> Reader:
        """Return this reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._name = self._file = None

    def photos(self, places: pd.DataFrame) -> Iterator[bytes | None]:
        """Yield the photo of each row, None for a row without one. At most `_BYTES`, or one photo, are in memory.

        Args:
            places: the columns `file`, `row` and `product_id` of `place`.

        Raises:
            CatalogError: a file cannot be read, or the row has another product than in Spark, because the file was
                replaced.
        """
        for file, row, product_id in zip(places[FILE], places[ROW], places["product_id"], strict=True):
            with _readable(file):
                found, photo = self._row(file, int(row))
            if found != product_id:
                raise CatalogError(
                    "Expected the catalog's files to stay as they are while a run reads them. Received: another "
                    f"product than {product_id!r} in row {row} of {file}. Run again when the catalog is written"
                )
            yield photo

    def ids_without_photo(self, file: str) -> list[str]:
        """Return the ids of a file's rows without a photo, as strings."""
        ids = list[str]()
        with _readable(file):
            self._open(file)
            for group in range(len(self._starts) - 1):
                if not self._all_have_photos(group):
                    for row in range(self._starts[group], self._starts[group + 1]):
                        product_id, photo = self._row(file, row)
                        ids += [product_id] if photo is None and product_id is not None else []
        return ids

    def row_group_bytes(self, file: str) -> list[int]:
        """Return the uncompressed bytes of the photos of each row group of a file."""
        with _readable(file):
            self._open(file)
            return [self._bytes(group) for group in range(len(self._starts) - 1)]

    def _open(self, name: str) -> None:
        if name == self._name:
            return
        self.__exit__()
        path = local_path(name)
        if path is None:
            raise OSError("not a local file")
        self._file = pq.ParquetFile(path, buffer_size=_READ_AHEAD, pre_buffer=False)
        self._name, self._group, self._first, self._end = name, -1, 0, 0
        sizes = (self._file.metadata.row_group(group).num_rows for group in range(self._file.metadata.num_row_groups))
        self._starts = list(accumulate(sizes, initial=0))
        # Like Spark, ignore the case of names. A file without the column has nulls.
        schema = self._file.schema_arrow
        self._id = parquet_cells.located(schema, self._column.product_id)
        images = (parquet_cells.located(schema, each) for each in self._column.images)
        self._images = [each for each in images if each]

    def _row(self, file: str, row: int) -> tuple[str | None, bytes | None]:
        """Return id and photo of a row; no id if the file has no such row."""
        self._open(file)
        if not 0 <= row < self._starts[-1]:
            return None, None
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._begin(group)
        while row >= self._end:
            self._batch = batch = next(self._batches)
            self._first, self._end = self._end, self._end + len(batch)
        assert self._batch is not None  # it has the row
        at = row - self._first
        product_id = parquet_cells.text(parquet_cells.cell(self._batch, self._id, at)) if self._id else None
        photos = (parquet_cells.photo(parquet_cells.cell(self._batch, path, at)) for path in self._images)
        return product_id, next((photo for photo in photos if photo is not None), None)

    def _begin(self, group: int) -> None:
        assert self._file is not None  # `_open` came before
        size = self._bytes(group) // (self._starts[group + 1] - self._starts[group])
        self._batches = self._file.iter_batches(
            batch_size=max(1, min(_ROWS, _BYTES // max(size, 1))),
            row_groups=[group],
            columns=[".".join(path) for path in [self._id, *self._images] if path],
            use_threads=False,
        )
        self._group, self._first, self._end = group, self._starts[group], self._starts[group]

    def _chunks(self, group: int, path: Path) -> Iterator[Any]:
        """Yield the footer's facts about a column of a row group."""
        assert self._file is not None  # `_open` came before
        facts = self._file.metadata.row_group(group)
        chunks = (facts.column(number) for number in range(facts.num_columns))
        return (chunk for chunk in chunks if chunk.path_in_schema == ".".join(path))

    def _bytes(self, group: int) -> int:
        """Return the uncompressed bytes of the photos of a row group."""
        return sum(chunk.total_uncompressed_size for path in self._images for chunk in self._chunks(group, path))

    def _all_have_photos(self, group: int) -> bool:
        """Return whether every row of a row group has a photo, by the footer. A text may mean a missing photo."""
        assert self._file is not None  # `_open` came before
        binary = (path for path in self._images if parquet_cells.is_binary(self._file.schema_arrow, path))
        known = (chunk.statistics for path in binary for chunk in self._chunks(group, path))
        return any(facts is not None and facts.has_null_count and facts.null_count == 0 for facts in known)


@contextmanager
def _readable(file: str) -> Iterator[None]:
    """Replace an error about an unreadable file by a `CatalogError` of one line."""
    try:
        yield
    except MemoryError:  # pyarrow's is an ArrowException too
        raise
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise CatalogError(f"Expected {file} to be a readable Parquet file. Received: {reason[0]}") from error
