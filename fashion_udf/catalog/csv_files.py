"""Read CSV files as a data frame: each file in its own dialect, every value as written, and no record lost."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import pandas as pd

from fashion_udf.catalog import csv_dialect, csv_records, files
from fashion_udf.catalog.compression import UnpackError, unpacked
from fashion_udf.catalog.csv_records import RFC_4180, Dialect
from fashion_udf.catalog.files import Found
from fashion_udf.config import Csv
from fashion_udf.errors import CatalogError
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EXAMPLES = 10  # maximum of bad records named in an error
_SETTINGS = "Correct them, or set input.csv (delimiter, quote, escape, encoding)"
_OTHERS = (b"PAR1", b'{"', b"[{")  # first bytes of other formats
#: Columns that are added to those of the file. No catalog has columns of these names.
_FILE, _LINE, _PROBLEM = _OWN = ("_csv_file", "_csv_line", "_csv_problem")


@dataclass(frozen=True)
class CsvFile:
    """A CSV file, its dialect, and the names in its header."""

    path: str
    header: tuple[str, ...]
    dialect: Dialect
    replace: bool  # whether bytes that are invalid in the encoding become U+FFFD


def look(spark: SparkSession, found: Found, settings: Csv) -> list[CsvFile]:
    """Detect the dialect of each file, and read its header.

    Raises:
        CatalogError: a file cannot be read, or its encoding cannot be detected.
    """
    schema = "path string, header array<string>, problem string, delimiter string, quote string, escape string, "
    looked = _frame(spark, found).mapInPandas(
        partial(_looked_at, settings), f"{schema}encoding string, damaged boolean"
    )
    csv_files = []
    for row in sorted(looked.collect(), key=lambda row: row["path"]):
        if row["problem"]:
            raise CatalogError(f"Expected a readable CSV file. Received: {row['path']}: {row['problem']}")
        header = tuple(name.strip() for name in row["header"])
        dialect = Dialect(row["delimiter"], row["quote"], row["escape"], row["encoding"])
        csv_files.append(CsvFile(row["path"], header, dialect, row["damaged"]))
    return csv_files


def read(
    spark: SparkSession, found: Found, csv_files: Sequence[CsvFile], settings: Csv, keys: Sequence[str]
) -> DataFrame:
    """Read some columns. Empty fields, and all fields of a column that a file lacks, are null.

    Args:
        spark: the session.
        found: the files.
        csv_files: the result of `look` for these files.
        settings: of the config. If the escape is `auto`, it may first occur after the part of a file that `look` read.
        keys: names of the columns, in lower case.

    Raises:
        CatalogError: a record cannot be parsed, or has a wrong number of fields. The message names the first ten.
    """
    escaped = [replace(each, dialect=replace(each.dialect, escape="\\")) for each in csv_files]
    attempts = [csv_files, escaped] if settings.escape == "auto" and escaped != [*csv_files] else [csv_files]
    problems = []
    for attempt in attempts:
        rows = _rows(spark, found, attempt, keys)
        if not (problem := _problem(rows)):
            return rows.drop(*_OWN)
        rows.unpersist()
        problems.append(problem)
    raise CatalogError(problems[0])


def describe(csv_files: Sequence[CsvFile]) -> list[str]:
    """Return a note for each dialect other than comma, double quotes and UTF-8."""
    dialects: dict[Dialect, list[str]] = {}
    for each in csv_files:
        dialects.setdefault(each.dialect, []).append(each.path)
    return [
        f"csv: {', '.join(f'{name} {value!r}' for name, value in asdict(dialect).items())} in {len(paths)} files, "
        f"first {paths[0]}"
        for dialect, paths in dialects.items()
        if dialect != RFC_4180
    ]


def _frame(spark: SparkSession, found: Found) -> DataFrame:
    if not found.is_local:  # Spark reads the bytes, at most 2 GB of a file
        loaded = spark.read.format("binaryFile").load([files.for_spark(path) for path in found.read])
        return loaded.select("path", "content")
    names = pd.DataFrame({"path": found.read, "content": None}, dtype=object)
    return spark.createDataFrame(names, "path string, content binary").repartition(min(len(found.read), 1000), "path")


def _looked_at(settings: Csv, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for frame in frames:
        rows = [_look(settings, *file) for file in zip(frame["path"], frame["content"], strict=True)]
        names = ("path", "header", "problem", "delimiter", "quote", "escape", "encoding", "damaged")
        yield pd.DataFrame(rows, columns=names).astype(object)


def _look(settings: Csv, path: str, content: bytes | None) -> tuple[Any, ...]:
    header: list[str] = []
    try:
        opened = partial(unpacked, path, content)
        with opened() as binary:
            if binary.read(8).removeprefix(codecs.BOM_UTF8).startswith(_OTHERS):
                raise csv_dialect.UndecidedError(f"it starts like Parquet or JSON: {files.SET_FORMAT}")
        dialect, damaged = csv_dialect.sniff(opened, settings)
        with opened() as binary:
            first = next(csv_records.decoded(binary, dialect, damaged), None)
        header = list(first.fields) if first else []
        problem = first.problem if first else "no header: it is empty"
        return path, header, problem, dialect.delimiter, dialect.quote, dialect.escape, dialect.encoding, damaged
    except (UnpackError, csv_dialect.UndecidedError, OSError, UnicodeError) as error:
        return path, header, str(error), ",", None, None, "", False


def _rows(spark: SparkSession, found: Found, csv_files: Sequence[CsvFile], keys: Sequence[str]) -> DataFrame:
    schema = "".join(f"{quoted(name)} string, " for name in keys)
    facts = {each.path: each for each in csv_files}
    rows = _frame(spark, found).mapInPandas(
        _csv_rows(facts, keys), f"{schema}{_FILE} string, {_LINE} long, {_PROBLEM} string"
    )
    # One task reads a file, because a field may span lines. The next steps use all cores and must not parse again.
    return session.cached(rows.repartition(4 * spark.sparkContext.defaultParallelism))


def _problem(rows: DataFrame) -> str | None:
    from pyspark.sql import functions as F

    bad = rows.where(F.col(_PROBLEM).isNotNull())
    count = bad.count()
    if not count:
        return None
    examples = bad.orderBy(_FILE, _LINE).select(_FILE, _LINE, _PROBLEM).limit(EXAMPLES).collect()
    named = "; ".join(f"{row[_FILE]} line {row[_LINE]}: {row[_PROBLEM]}" for row in examples)
    return f"Expected every CSV record to have the header's fields. Received: {count} bad records: {named}. {_SETTINGS}"


#: Maximum of characters in a batch that goes to Spark: a field may hold a photo.
_BATCH_CHARACTERS = 8_000_000


def _csv_rows(
    csv_files: dict[str, CsvFile], keys: Sequence[str]
) -> Callable[[Iterable[pd.DataFrame]], Iterator[pd.DataFrame]]:
    names = [*keys, *_OWN]

    def batches(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            for path, content in zip(frame["path"], frame["content"], strict=True):
                rows = _of_file(csv_files[path], content, keys)
                while chunk := [*_batch(rows)]:
                    yield pd.DataFrame(chunk, columns=names).astype(object)

    return batches


def _batch(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    characters = 0
    for row in islice(rows, 4096):
        yield row
        characters += sum(len(field) for field in row if isinstance(field, str))
        if characters > _BATCH_CHARACTERS:
            return


def _of_file(csv_file: CsvFile, content: bytes | None, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield a row of the columns for each record. A truncated file adds a row with a problem."""
    by_name = {name.casefold(): index for index, name in enumerate(csv_file.header)}
    order, width, nothing = [by_name.get(key) for key in keys], len(csv_file.header), [None] * len(keys)
    line = 1
    try:
        with unpacked(csv_file.path, content) as binary:
            records = csv_records.decoded(binary, csv_file.dialect, csv_file.replace)
            for record in islice(records, 1, None):
                line = record.line
                # Spreadsheets write additional delimiters after the last column.
                if record.problem is None and len(record.fields) >= width and not any(record.fields[width:]):
                    values = (None if index is None else record.fields[index] or None for index in order)
                    yield (*values, csv_file.path, line, None)
                else:
                    problem = record.problem or f"{len(record.fields)} fields instead of {width}"
                    yield (*nothing, csv_file.path, line, problem)
    except (UnpackError, OSError, UnicodeError) as error:
        yield (*nothing, csv_file.path, line, str(error))


def quoted(name: str) -> str:
    """Return a column's name quoted for Spark SQL."""
    return f"`{name.replace('`', '``')}`"
