"""The row groups of Parquet files that Spark itself reads: footers, read by its own library, wherever the files are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fashion_udf.catalog import files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Files whose footers are read, evenly spread over all: a footer on an object store takes a tenth of a second.
SAMPLE = 16


@dataclass(frozen=True)
class RowGroup:
    """Bytes of a column in a row group, uncompressed, and those of them that are in its dictionary."""

    size: int = 0
    dictionary: int = 0

    @property
    def held(self) -> int:
        """Most bytes that Spark holds while it reads the column.

        It reads the column whole, and unpacks page after page; of a dictionary, it unpacks all and copies each value.
        """
        return 2 * self.size + 3 * self.dictionary


def largest(source: DataFrame, column: str) -> RowGroup:
    """Return the row group of a sample of the files that needs the most memory, by the column's part of it.

    Args:
        source: a data frame that reads files.
        column: its name in the files, in any case.

    Returns:
        Nothing (0 bytes) if the files are no Parquet files, or cannot be opened by the driver.
    """
    from py4j.protocol import Py4JJavaError

    context = source.sparkSession.sparkContext
    java, configuration = context._jvm, files.hadoop_configuration(source.sparkSession)
    assert java is not None  # a classic session has one
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
    """Return what a row group holds of a column, with all its fields where it is a struct or a list."""
    chunks = ((f"{chunk.getPath().toDotString()}.".casefold(), chunk) for chunk in group.getColumns())
    named = [chunk for path, chunk in chunks if path.startswith(f"{column}.")]
    return RowGroup(sum(chunk.getTotalUncompressedSize() for chunk in named), sum(map(_dictionary_bytes, named)))


def _dictionary_bytes(chunk: Any) -> int:
    start = chunk.getDictionaryPageOffset()
    return int(chunk.getFirstDataPageOffset() - start) if start > 0 else 0
