"""The published table for notebooks and programs: which snapshot is current, its rows, its history."""

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
    """The tags table below an `output.path`. Every call looks at the log anew.

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
        """Remember where the table is; nothing is read.

        Args:
            output: the `output.path` of the job that publishes it, a path or a URI.
            s3: where S3 is, as `load_config(...).s3` says it; by default what the environment says.
        """
        self._output = str(output)
        if s3 is not None:
            s3_store.use(s3)

    def __repr__(self) -> str:
        """Name the table's place."""
        return f"TagsTable({self._output!r})"

    def current(self) -> Commit | None:
        """The newest commit: `number`, `rows`, `snapshot_id`, `model_version`, `time`; None before the first night."""
        return snapshot.current(self._output)

    def directory(self, number: int | None = None) -> Path | str:
        """The directory of a snapshot's Parquet files, a URI where the output is not local: read `*.parquet` in it.

        Args:
            number: of a commit; the newest by default.

        Raises:
            InputError: nothing was published, or there is no such commit.
            SnapshotError: the snapshot has expired, or the log is damaged.
        """
        return paths.data_dir(self._output, self._commit(number))

    def to_spark(self, spark: SparkSession, number: int | None = None) -> DataFrame:
        """The rows as a Spark data frame; raises as `directory` does."""
        place = paths.snapshot_dir(self._output, self._commit(number).snapshot_id)
        return spark.read.schema(to_spark(TAGS)).parquet(place.uri)

    def to_pandas(self, columns: Sequence[str] | None = None, number: int | None = None) -> pd.DataFrame:
        """The rows as a pandas data frame; raises as `directory` does.

        Args:
            columns: which to read, all by default. A column that an older release did not write is null.
            number: of a commit; the newest by default.
        """
        frame: pd.DataFrame = read(self._output, self._commit(number), columns).to_pandas()
        return frame

    def history(self) -> list[listing.Facts]:
        """Every commit, oldest first, and whether its snapshot is the current one, has expired or is pinned."""
        return listing.facts(self._output, snapshot.read_log(self._output))

    def similar(self, product_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The published lists of similar products, a row for each pair, best first.

        Args:
            product_ids: whose lists, in this order; all of them by default.

        Returns:
            `product_id`, `position` (from 1), `similar_id`, `score` and `same_category`. `attrs["tags_behind"]` counts
            the commits of tags since the one that the lists were made from.

        Raises:
            InputError: there are no lists, the current tags are of another model, or a product has no list.
        """
        frame: pd.DataFrame = similar_table.pairs(self._output, product_ids).to_pandas()
        frame.attrs["tags_behind"] = similar_table.current(self._output).tags_behind
        return frame

    def diff(self, before: int, after: int) -> diff.Diff:
        """What changed between the snapshots of two commits.

        Raises:
            InputError: nothing was published, or there is no such commit.
            SnapshotError: a snapshot has expired, or is damaged.
        """
        return diff.diff(self._output, self._commit(before), self._commit(after))

    def rollback(self, number: int, spark: SparkSession | None = None) -> Commit:
        """Make the snapshot of an older commit the current one, by a new commit; returns the new commit.

        Args:
            number: of the older commit.
            spark: a session whose catalog holds the table of `publish.table`, which then shows the new commit too.
                Without it, the next run moves the table.

        Raises:
            InputError: there is no such commit.
            SnapshotError: the snapshot has expired, or its files are not as committed; nothing is published.
            CommitConflictError: another run published meanwhile; nothing is published.
        """
        commit = rollback.rollback(self._output, number)
        if spark is not None:
            followers.reconcile_tables(self._output, lambda: spark)
        return commit

    def _commit(self, number: int | None) -> Commit:
        newest = snapshot.newest(self._output)
        commit = newest if number is None else snapshot.numbered(self._output, number)
        # The current snapshot is never removed: a damaged tombstone of another one must not hide it.
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
