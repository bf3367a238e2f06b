"""Sizes of row groups that Spark reads. Spark's own Parquet library reads the footers, on any file system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fashion_udf.catalog import files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Number of files whose footers are read, evenly spread over all: each footer is a request to the store.
SAMPLE = 16


@dataclass(frozen=True)
class RowGroup:
    """Uncompressed bytes of a column in a row group, and how many of them are in its dictionary."""

    size: int = 0
    dictionary: int = 0

    @property
    def held(self) -> int:
        """Maximum of bytes in memory while Spark reads the column.

        Spark reads the whole column and decompresses it page by page. It decompresses a dictionary completely and
        copies each value.
        """
        return 2 * self.size + 3 * self.dictionary


def largest(source: DataFrame, column: str) -> RowGroup:
    """Return the row group whose column needs the most memory, of a sample of the files.

    Args:
        source: a data frame that reads files.
        column: name of the column, in any case.

    Returns:
        The row group. It has 0 bytes if the files are not Parquet, or the driver cannot open them.
    """
    from py4j.protocol import Py4JJavaError

    context = source.sparkSession.sparkContext
    java, configuration = context._jvm, files.hadoop_configuration(source.sparkSession)
    assert java is not None  # a classic session has a JVM
    names, found = source._jdf.inputFiles(), [RowGroup()]
    for at in range(0, len(names), -(-len(names) // SAMPLE) or 1):
        path = java.org.apache.hadoop.fs.Path(java.java.net.URI(names[at]))
        try:
            opened = java.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(path, configuration)
            reader = java.org.apache.parquet.hadoop.ParquetFileReader.open(opened)
        except Py4JJavaError:
            return RowGroup()
        try:
            found += [_held(group, column.casefold()) for group in reader.getRowGroups()]
        finally:
            reader.close()
    return max(found, key=lambda group: group.held)


def _held(group: Any, column: str) -> RowGroup:
    """Return the size of a column in a row group, with all fields of a struct or list."""
    chunks = ((f"{chunk.getPath().toDotString()}.".casefold(), chunk) for chunk in group.getColumns())
    named = [chunk for path, chunk in chunks if path.startswith(f"{column}.")]
    return RowGroup(sum(chunk.getTotalUncompressedSize() for chunk in named), sum(map(_dictionary_bytes, named)))


def _dictionary_bytes(chunk: Any) -> int:
    start = chunk.getDictionaryPageOffset()
    return int(chunk.getFirstDataPageOffset() - start) if start > 0 else 0
