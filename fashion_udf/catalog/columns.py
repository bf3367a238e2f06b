"""Any source to a data frame of `schema.CATALOG`, and the rows with unusable ids.

Ids stay strings: text sources are read without inference, so "007", "1e5" and "NaN" survive. Photo bytes are never
collected.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from fashion_udf.catalog import sources
from fashion_udf.config import Columns, Input
from fashion_udf.errors import CatalogError, ConfigError
from fashion_udf.photos import parquet_photos
from fashion_udf.photos.parquet_photos import FILE, ROW, PhotoColumn
from fashion_udf.schema import CATALOG, to_spark

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

PHOTO_COLUMNS = ("image", "image_uri")
EXAMPLES = 10  # rejected ids named in an error
#: What Spark knows of a row of a file; the place in it, of Parquet alone and from Spark 3.5 on.
_FILE_PATH, _ROW_INDEX = "_metadata.file_path", "_metadata.row_index"


def read(spark: SparkSession, source: Input) -> DataFrame:
    """Read the source and map its columns.

    Returns:
        The columns of `CATALOG`, with one of `image` and `image_uri` (`image`, all null, where the source has neither),
        and `FILE`: the file a row is in, as Spark names it, or null. A filter by `FILE` reads no other file. `ROW`, the
        row's place in it, is there only where Python workers can read the photos themselves (`photo_column`).

    Raises:
        CatalogError: the source cannot be read, lacks a mapped column, or a column has another type.
        ConfigError: both photo columns are there and the config names neither.
    """
    with sources.readable("input.path", source.format, source.path):
        frame = sources.READERS[source.format](spark, source.path)
        return _mapped(frame, _mapping(source.columns, frame.columns), source.format)


def photo_column(source: Input) -> PhotoColumn:
    """Return the names that ids and photos have in the files of a source that `read` gave a `ROW`."""
    return PhotoColumn(image=source.columns.image or "image", product_id=source.columns.product_id)


def split_ids(frame: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Separate the rows whose `product_id` is null, empty or repeated.

    Returns:
        The accepted rows, and the rejected ids: `product_id`, `rejection` (`id_null` or `id_repeated`), `rows`.
    """
    from pyspark.sql import functions as F

    ids = frame.groupBy("product_id").agg(F.count("*").alias("rows"))
    blank = F.coalesce(F.col("product_id"), F.lit("")) == F.lit("")
    rejected = ids.where(blank | (F.col("rows") > F.lit(1))).select(
        "product_id", F.when(blank, "id_null").otherwise("id_repeated").alias("rejection"), "rows"
    )
    repeated = rejected.where(F.col("rejection") == F.lit("id_repeated")).select("product_id")
    # The ids are few, so they are broadcast and the photos stay where they are.
    accepted = frame.where(~blank).join(F.broadcast(repeated), on="product_id", how="left_anti")
    return accepted.select(*frame.columns), rejected


def require_accepted(rejected: DataFrame, max_rejected: int) -> int:
    """Return the number of rejected rows.

    Raises:
        CatalogError: there are more than `max_rejected`; names the first ids.
    """
    from pyspark.sql import functions as F

    totals = rejected.agg(F.coalesce(F.sum("rows"), F.lit(0)).alias("rows")).first()
    assert totals is not None  # an aggregate without groups has one row
    rows = int(totals["rows"])
    if rows > max_rejected:
        examples = rejected.orderBy("rejection", "product_id").limit(EXAMPLES).collect()
        named = ", ".join(f"{row['product_id']!r} ({row['rows']} rows, {row['rejection']})" for row in examples)
        raise CatalogError(
            f"Expected every product_id once and none empty. Received: {rows} rows with such ids, first {named}. "
            "Correct them, or accept them with input.max_rejected"
        )
    return rows


def _mapping(columns: Columns, available: list[str]) -> dict[str, str | None]:
    """Return our column name -> the source's, None for a column to be filled with nulls."""
    mapping = columns.model_dump()
    if mapping["image"] and mapping["image_uri"]:
        raise ConfigError("Expected one of input.columns.image and input.columns.image_uri. Received: both")
    if not mapping["image"] and not mapping["image_uri"]:
        present = [name for name in PHOTO_COLUMNS if name in available]
        if len(present) == 2:
            raise ConfigError(
                "Expected input.columns to name image or image_uri. Received: neither, the source has both"
            )
        mapping |= {name: name for name in present}
    for name, their_name in mapping.items():
        # A description is optional until the config asks for one.
        optional = name == "description" and name not in columns.model_fields_set
        if optional and their_name not in available:
            mapping[name] = None
        elif their_name is not None and their_name not in available:
            folded = {column.casefold(): column for column in available}
            near = [folded[key] for key in difflib.get_close_matches(their_name.casefold(), folded, n=1)]
            raise CatalogError(
                f"Expected a column {their_name!r} (input.columns.{name}). Received: {', '.join(sorted(available))}"
                + (f". Did you mean {near[0]!r}?" if near else "; set it to null where the source has none")
            )
    unused = "image" if mapping["image_uri"] else "image_uri"
    return {name: their_name for name, their_name in mapping.items() if name != unused}


def _mapped(frame: DataFrame, mapping: dict[str, str | None], form: str) -> DataFrame:
    from pyspark.sql import functions as F

    types = {field.name: field.dataType for field in to_spark(CATALOG).fields}
    columns = []
    for name, their_name in mapping.items():
        if their_name is None:
            columns.append(F.lit(None).cast(types[name]).alias(name))
        else:
            column = frame[sources.quoted(their_name)]
            kind = frame.schema[their_name].dataType.simpleString()
            columns.append(_typed(column, kind, name, their_name, form).alias(name))
    columns.append(_file(frame, form).alias(FILE))
    if form == "parquet" and mapping.get("image") and _are_local(frame) and _has(frame, _ROW_INDEX):
        columns.append(F.col(_ROW_INDEX).alias(ROW))
    return frame.select(*columns)


def _are_local(frame: DataFrame) -> bool:
    """Whether the files are on a local file system; one path has files on one file system."""
    files = frame._jdf.inputFiles()  # of a large catalog too long a list to bring it to Python
    return len(files) > 0 and parquet_photos.local_path(files[0]) is not None


def _file(frame: DataFrame, form: str) -> Column:
    from pyspark.sql import functions as F

    # CSV is read by `csv_records`: there Spark would raise an error of another kind.
    named = form != "csv" and _has(frame, _FILE_PATH)  # a table that is a view names none
    return F.col(_FILE_PATH) if named else F.lit(None).cast("string")


def _has(frame: DataFrame, name: str) -> bool:
    from pyspark.errors import AnalysisException

    try:
        frame.selectExpr(name)  # if a `Column` fails, pyspark writes an error of 10 kB to standard error
    except AnalysisException:
        return False
    return True


def _typed(column: Column, kind: str, name: str, their_name: str, form: str) -> Column:
    from pyspark.sql import functions as F

    expected = "binary" if name == "image" else "string"
    if kind == expected:
        return column
    if name == "image" and form == "json":
        # Photos in JSON are base64. Other text stays as it is, and the decoder gives it a status.
        return F.coalesce(F.try_to_binary(column, F.lit("base64")), column.cast("binary"))
    if kind in AS_STRING.get(name, ()):
        return column.cast("string")
    hint = "; CSV holds no photos: use input.columns.image_uri, JSON lines or Parquet" if form == "csv" else ""
    raise CatalogError(
        f"Expected column {their_name!r} to be {expected} (input.columns.{name}). Received: {kind}{hint}"
    )


#: Types with exactly one string for a value. A float is not among them: 10000000.0 would be the id "1.0E7".
AS_STRING = {
    "product_id": ("tinyint", "smallint", "int", "bigint"),
    "image_version": ("tinyint", "smallint", "int", "bigint", "date", "timestamp", "timestamp_ntz"),
}
