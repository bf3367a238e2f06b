"""Tables of the user that are joined to the products, in any format of a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from fashion_udf.catalog import cells, sources
from fashion_udf.errors import CatalogError, ConfigError
from fashion_udf.similar.settings import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def names(spark: SparkSession, key: str, table: Table) -> list[str]:
    """Return the names of a table's columns in lower case; none if no path is configured."""
    return sorted(sources.open_source(spark, key, table.path, table.format).columns) if table.path else []


def read(spark: SparkSession, key: str, table: Table, columns: Sequence[str], ids: Sequence[str] = ()) -> DataFrame:
    """Read some columns of a table.

    Args:
        spark: the session.
        key: key of the configuration that errors name.
        table: a table with a path.
        columns: the columns to read, named in any case.
        ids: columns of ids, which are converted to text exactly like those of a catalog.

    Returns:
        The columns under these names. Values other than ids keep their type.

    Raises:
        InputError: the table cannot be read, ids are no text, or a column is missing.
    """
    from pyspark.sql import functions as F

    path = table.path or ""
    opened = sources.open_source(spark, key, path, table.format)
    keys = [name.casefold() for name in columns]
    opened.require_one(keys)
    if missing := [name for name in columns if name.casefold() not in opened.columns]:
        raise ConfigError(
            f"Expected the columns {', '.join(columns)} in {path} ({key}). Received: no {' and no '.join(missing)} "
            f"among {', '.join(sorted(opened.columns.values()))}"
        )

    with sources.readable(key, table.format, path):
        frames = [frame for _, frame in opened.read(keys)]
    whole = [frame for frame in frames if all(name in frame.columns for name in keys)]
    parts = [
        frame.select(*(_typed(frame, name, name in ids, f"{path} ({key})") for name in columns)) for frame in whole
    ]
    union = reduce(lambda first, other: first.unionByName(other), parts)
    return union.where(F.col(ids[0]).isNotNull()) if ids else union


def _typed(frame: DataFrame, name: str, is_id: bool, place: str) -> Column:
    column, kind = cells.at(frame, name.casefold(), ())
    if not is_id:
        return column.alias(name)
    text = cells.exact_string(column, kind, times=False) if kind is not None else None
    if text is None:
        raise CatalogError(f"Expected {name!r} of {place} to be text. Received: {kind}")
    return text.alias(name)


def require_once(frame: DataFrame, column: str, key: str) -> None:
    """Refuse a table with a repeated value, because a join would duplicate products.

    Raises:
        CatalogError: a value is repeated. The message names the first ten.
    """
    from pyspark.sql import functions as F

    repeated = frame.groupBy(column).count().where(F.col("count") > F.lit(1)).orderBy(column).limit(10).collect()
    if repeated:
        raise CatalogError(
            f"Expected each {column} once in {key}. Received: several rows for "
            f"{', '.join(repr(row[column]) for row in repeated)}"
        )
