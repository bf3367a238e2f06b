"""Delta tables as catalogs: the log lists the table's files, and Spark reads these as plain Parquet, without a jar.

A table whose files do not hold everything is refused: with deletion vectors, with a column mapping, or with values of a
partition that only the log holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fashion_udf.catalog import files
from fashion_udf.catalog.files import Found
from fashion_udf.errors import CatalogError, EnvironmentUnsupportedError

if TYPE_CHECKING:
    from deltalake import DeltaTable


def find(key: str, path: str) -> tuple[Found, str]:
    """List the files of the newest version.

    Args:
        key: key of the configuration that errors name.
        path: the table's folder, a local one.

    Returns:
        The files, and a text that names their version.

    Raises:
        CatalogError: the folder is no Delta table, or its files do not hold everything.
        EnvironmentUnsupportedError: deltalake is not installed.
    """
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            f"Expected the deltalake package for format delta: pip install 'fashion-udf[delta]'. Received: {error}"
        ) from error
    root = files.local_path(path)
    if root is None:
        raise CatalogError(f"Expected a local path in {key}, as its format is delta. Received: {path}")
    try:
        table = DeltaTable(root)
        names = sorted(map(str, table.file_uris()))
        _require_plain_files(key, root, table)
    except DeltaError as error:
        raise files.unreadable(key, "delta", path, " ".join(str(error).split())[:300]) from error
    if not names:
        raise files.unreadable(key, "delta", path, "the newest version has no file")
    _require_partitions(key, root, table.metadata().partition_columns, names)
    return Found(root, tuple(names), ()), f"version {table.version()} of the Delta table {root}"


def _require_plain_files(key: str, root: str, table: DeltaTable) -> None:
    problem = None
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        problem = "a column mapping (its files have other names of columns)"
    elif "deletionVectors" in (table.protocol().reader_features or ()) and any(
        batch.num_rows for batch in table.deletion_vectors()
    ):
        problem = "deletion vectors (its files still hold rows that were removed): purge them (REORG TABLE)"
    if problem is not None:
        raise CatalogError(
            f"Expected {key} to be a Delta table whose files are its rows. Received: {root}, which has {problem}, or "
            "read it as a table of Spark (input.format: table)"
        )


def _require_partitions(key: str, root: str, columns: list[str], names: list[str]) -> None:
    """Refuse a table where Spark would read other values of a partition from the folders than the log holds."""
    for column in columns:
        for name in names:
            folder = re.search(rf"/{re.escape(column)}=([^/]*)/", name[len(root) :])
            # Spark decodes each %XX to one character, so that non-ASCII letters in UTF-8 become other letters.
            if folder is None or re.search("%[89A-Fa-f]", folder[1]):
                raise CatalogError(
                    f"Expected folders such as {column}=... in {key}, a Delta table with that partition, without "
                    f"non-ASCII letters (%C3%A9). Received: {name}. Read it as a table of Spark (input.format: table)"
                )
