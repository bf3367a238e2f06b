"""The published table for notebooks and programs: the current snapshot, its rows, its history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.s3 import S3Settings
from fashion_udf.schema import TAGS, to_spark
from fashion_udf.table import (
    data_files,
    diff,
    followers,
    listing,
    paths,
    pins,
    rollback,
    s3_store,
    similar_table,
    snapshot,
)
from fashion_udf.table.commit import Commit

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession


class TagsTable:
    """The tags table below an `output.path`. Every call reads the log again.

    Examples:
        >>> import fashion_udf as fu
        >>> table = fu.TagsTable(output)
        >>> table.current().number
        1
        >>> table.to_pandas(columns=["product_id", "status"]).sort_values("product_id").values.tolist()
        [['a', 'ok'], ['b', 'image_none']]
        >>> [fact.commit.rows for fact in table.history()]
        [2]
    """

    def __init__(self, output: str | Path, s3: S3Settings | None = None) -> None:
        """Set the place of the table. Nothing is read.

        Args:
            output: the `output.path` of the job that publishes the table, a path or a URI.
            s3: the settings of S3, such as `load_config(...).s3`. Default: those of the environment.
        """
        self._output = str(output)
        if s3 is not None:
            s3_store.use(s3)

    def __repr__(self) -> str:
        """Return the table's place as text."""
        return f"TagsTable({self._output!r})"

    def current(self) -> Commit | None:
        """Return the newest commit: `number`, `rows`, `snapshot_id`, `model_version`, `time`; None if there is none."""
        return snapshot.current(self._output)

    def directory(self, number: int | None = None) -> Path | str:
        """Return the directory of a snapshot, to read `*.parquet` in it; a URI if the output is not local.

        Args:
            number: number of a commit. Default: the newest.

        Raises:
            InputError: nothing was published, or there is no such commit.
            SnapshotError: the snapshot has expired, or the log is damaged.
        """
        return paths.data_dir(self._output, self._commit(number))

    def to_spark(self, spark: SparkSession, number: int | None = None) -> DataFrame:
        """Return the rows as a Spark data frame. Errors as in `directory`."""
        place = paths.snapshot_dir(self._output, self._commit(number).snapshot_id)
        return spark.read.schema(to_spark(TAGS)).parquet(place.uri)

    def to_pandas(self, columns: Sequence[str] | None = None, number: int | None = None) -> pd.DataFrame:
        """Return the rows as a pandas data frame. Errors as in `directory`.

        Args:
            columns: the columns to read. Default: all. A column that an older release did not write is null.
            number: number of a commit. Default: the newest.
        """
        frame: pd.DataFrame = read(self._output, self._commit(number), columns).to_pandas()
        return frame

    def history(self) -> list[listing.Facts]:
        """Return all commits, oldest first, with the state of each: current, expired, pinned."""
        return listing.facts(self._output, snapshot.read_log(self._output))

    def similar(self, product_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the published lists of similar products, one row for each pair, best first.

        Args:
            product_ids: the products, in this order. Default: all.

        Returns:
            `product_id`, `position` (from 1), `similar_id`, `score` and `same_category`. `attrs["tags_behind"]` is the
            number of tags commits since the one that the lists were made from.

        Raises:
            InputError: there are no lists, the current tags have another model, or a product has no list.
        """
        frame: pd.DataFrame = similar_table.pairs(self._output, product_ids).to_pandas()
        frame.attrs["tags_behind"] = similar_table.current(self._output).tags_behind
        return frame

    def diff(self, before: int, after: int) -> diff.Diff:
        """Return what changed between the snapshots of two commits.

        Raises:
            InputError: nothing was published, or there is no such commit.
            SnapshotError: a snapshot has expired, or is damaged.
        """
        return diff.diff(self._output, self._commit(before), self._commit(after))

    def rollback(self, number: int, spark: SparkSession | None = None) -> Commit:
        """Make the snapshot of an older commit current, by a new commit, and return the new commit.

        Args:
            number: number of the older commit.
            spark: a session whose catalog holds the table of `publish.table`, to update it too. Without a session, the
                next run updates the table.

        Raises:
            InputError: there is no such commit.
            SnapshotError: the snapshot has expired, or its files differ from the commit. Nothing was published.
            CommitConflictError: another run published meanwhile. Nothing was published.
        """
        commit = rollback.rollback(self._output, number)
        if spark is not None:
            followers.reconcile_tables(self._output, lambda: spark)
        return commit

    def _commit(self, number: int | None) -> Commit:
        newest = snapshot.newest(self._output)
        commit = newest if number is None else snapshot.numbered(self._output, number)
        # The current snapshot never expires, so its tombstone is not read: a damaged one must not hide the snapshot.
        if commit.snapshot_id != newest.snapshot_id:
            pins.require_not_expired(self._output, commit)
        return commit


def read(output: str, commit: Commit, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a snapshot as an Arrow table.

    Args:
        output: root of the output.
        commit: of the tags, not expired.
        columns: as `TagsTable.to_pandas` takes them.

    Raises:
        SnapshotError: a file cannot be opened.
    """
    schema = pa.schema([TAGS.field(name) for name in (TAGS.names if columns is None else columns)])
    return pa.concat_tables([_read(file, schema) for _, file in data_files.opened(output, commit)])


def _read(file: BinaryIO, schema: pa.Schema) -> pa.Table:
    with file, pq.ParquetFile(file) as source:
        names = [name for name in schema.names if name in source.schema_arrow.names]
        stored = source.read(names)
    columns = [
        stored[field.name].cast(field.type) if field.name in names else pa.nulls(len(stored), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in schema]))
