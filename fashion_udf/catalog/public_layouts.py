"""Read public dataset layouts (kaggle, styles, folders) into one schema.

Executors read the files, from a file system that all of them can open. This module only lists the names of photos: a
row has the path of its photo.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fashion_udf.catalog import csv_records
from fashion_udf.errors import CatalogError
from fashion_udf.schema import to_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")

#: Labels of a product beside its category, for training. A layout with such labels has these columns after `ROWS`.
ATTRIBUTES = ("gender", "base_colour", "season", "usage")

#: The columns of every layout. `problem` says why a CSV record cannot be used; `line` and `raw` locate the record.
ROWS = pa.schema(
    [
        pa.field("product_id", pa.string()),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("category", pa.string()),
        pa.field("photo_path", pa.string()),  # absolute
        pa.field("line", pa.int64()),
        pa.field("raw", pa.string()),
        pa.field("problem", pa.string()),
    ]
)
_PHOTOS = pa.schema([pa.field("photo", pa.string()), pa.field("photo_path", pa.string())])

_KAGGLE = ("image", "description", "display name", "category")
_STYLES = (
    *("id", "gender", "masterCategory", "subCategory", "articleType"),
    *("baseColour", "season", "year", "usage", "productDisplayName"),
)

#: The columns of styles.csv that are `ATTRIBUTES`, in their order.
_STYLES_ATTRIBUTES = ("gender", "baseColour", "season", "usage")

Product = dict[str, str | None]


def read(spark: SparkSession, layout: str, source: Path, photos: Path | None = None) -> DataFrame:
    """Read a dataset.

    Args:
        spark: the session.
        layout: a key of `LAYOUTS`.
        source: the dataset's folder, or its CSV file.
        photos: the photo folder, if it is not in its usual place.

    Returns:
        The columns of `ROWS` and, for `styles`, of `ATTRIBUTES`. One row for each CSV record (for `folders`, each
        photo).

    Raises:
        CatalogError: the layout is unknown, or the source has another layout.
    """
    if layout not in LAYOUTS:
        raise CatalogError(f"Expected a layout of {', '.join(LAYOUTS)}. Received: {layout!r}")
    if not source.exists():
        raise CatalogError(f"Expected --source to exist. Received: {source}")
    if photos is not None and not photos.is_dir():
        raise CatalogError(f"Expected --photos to be a folder. Received: {photos}")
    return LAYOUTS[layout](spark, source.resolve(), photos.resolve() if photos else None)


def _kaggle(spark: SparkSession, source: Path, photos: Path | None) -> DataFrame:
    table = source if source.is_file() else source / "data.csv"
    folder = photos or _photo_folder(table.parent, preferred=("data", "images"))
    rows = _csv_rows(spark, table, _KAGGLE, _from_kaggle)
    return _with_photos(rows, _listed(spark, folder, by_stem=False)).select(*ROWS.names)


def _styles(spark: SparkSession, source: Path, photos: Path | None) -> DataFrame:
    table = source if source.is_file() else source / "styles.csv"
    folder = photos or _photo_folder(table.parent, preferred=("images", "data"))
    rows = _csv_rows(spark, table, _STYLES, _from_styles, ATTRIBUTES)
    return _with_photos(rows, _listed(spark, folder, by_stem=True)).select(*ROWS.names, *ATTRIBUTES)


def _folders(spark: SparkSession, source: Path, photos: Path | None) -> DataFrame:
    if photos is not None:
        raise CatalogError(f"Expected no photo folder for the layout folders: --source holds them. Received: {photos}")
    if not source.is_dir():
        raise CatalogError(f"Expected --source to be a folder with one folder per category. Received: {source}")
    categories = sorted(entry.name for entry in os.scandir(source) if entry.is_dir())
    if not categories:
        raise CatalogError(f"Expected one folder per category in --source. Received: {source}, which has none")

    def rows(category: str) -> Iterator[Product]:
        for path in _photo_paths(source / category):
            yield {"product_id": path.stem, "category": category, "photo_path": str(path)}

    return _generated(spark, categories, rows, ROWS)


#: Layout name -> its reader: (session, absolute source, photo folder or None) -> the columns of `ROWS`.
LAYOUTS: dict[str, Callable[[SparkSession, Path, Path | None], DataFrame]] = {
    "kaggle": _kaggle,
    "styles": _styles,
    "folders": _folders,
}


def _from_kaggle(record: dict[str, str]) -> Product:
    name = os.path.basename(record["image"].strip())
    return {
        "product_id": Path(name).stem,
        "title": record["display name"],
        "description": record["description"],
        "category": record["category"],
        "photo": name,
    }


def _from_styles(record: dict[str, str]) -> Product:
    product_id = record["id"].strip()
    return {
        "product_id": product_id,
        "title": record["productDisplayName"],
        "category": record["articleType"],
        "photo": product_id,
        **{name: _known(record[column]) for name, column in zip(ATTRIBUTES, _STYLES_ATTRIBUTES, strict=True)},
    }


def _known(value: str) -> str | None:
    return None if value.strip() in ("", "NA") else value.strip()


def _csv_rows(
    spark: SparkSession,
    table: Path,
    columns: tuple[str, ...],
    product: Callable[[dict[str, str]], Product],
    attributes: tuple[str, ...] = (),
) -> DataFrame:
    """Read the CSV file in one task, because a record may span lines. A million records are small beside photos."""
    _require_header(table, columns)

    def rows(path: str) -> Iterator[Product]:
        records = csv_records.read(path)
        header = next(records).fields
        for record in records:
            yield _row(record, header, product)

    fields = [field for field in ROWS if field.name != "photo_path"]
    fields += [pa.field(name, pa.string()) for name in ("photo", *attributes)]
    return _generated(spark, [str(table)], rows, pa.schema(fields))


def _row(record: csv_records.Record, header: tuple[str, ...], product: Callable[[dict[str, str]], Product]) -> Product:
    where: dict[str, Any] = {"line": record.line, "raw": record.raw}
    if record.problem is not None:
        return where | {"problem": record.problem}
    if len(record.fields) != len(header):
        return where | {"problem": f"{len(record.fields)} fields instead of {len(header)}"}
    row = product(dict(zip(header, record.fields, strict=True)))
    row = {name: value if value and value.strip() else None for name, value in row.items()}
    return where | row | {"problem": None if row["product_id"] else "no product id"}


def _require_header(table: Path, columns: tuple[str, ...]) -> None:
    try:
        first = next(csv_records.read(table), None)
    except OSError as error:
        raise CatalogError(f"Expected a readable CSV file. Received: {table} ({error.strerror})") from error
    header = first.fields if first else ()
    if missing := [name for name in columns if name not in header]:
        raise CatalogError(
            f"Expected the columns {', '.join(columns)} in {table}. Received: {', '.join(header) or 'an empty file'}; "
            f"missing: {', '.join(missing)}"
        )


def _photo_folder(parent: Path, preferred: tuple[str, ...]) -> Path | None:
    """Return the folder with photos beside the CSV file. Folders of a usual name are preferred."""
    names = [entry.name for entry in os.scandir(parent) if entry.is_dir()]
    for name in sorted(names, key=lambda name: (preferred.index(name) if name in preferred else len(preferred), name)):
        if next(_photo_paths(parent / name), None) is not None:
            return parent / name
    return None


def _photo_paths(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:  # names only: no stat call per photo
        for entry in entries:
            if entry.name.lower().endswith(PHOTO_ENDINGS) and not entry.name.startswith("."):
                yield folder / entry.name


def _listed(spark: SparkSession, folder: Path | None, by_stem: bool) -> DataFrame:
    """List a photo folder. Each key (file name, or stem) occurs once."""
    from pyspark.sql import functions as F

    def rows(name: str) -> Iterator[Product]:
        for path in _photo_paths(Path(name)):
            yield {"photo": path.stem if by_stem else path.name, "photo_path": str(path)}

    listed = _generated(spark, [str(folder)] if folder else [], rows, _PHOTOS)
    # With 1.jpg and 1.png, every run must choose the same one.
    return listed.groupBy("photo").agg(F.min("photo_path").alias("photo_path"))


def _with_photos(rows: DataFrame, photos: DataFrame) -> DataFrame:
    return rows.join(photos, on="photo", how="left")


def _generated(
    spark: SparkSession, sources: list[str], rows: Callable[[str], Iterator[Product]], schema: pa.Schema
) -> DataFrame:
    """Run `rows` on an executor for each source."""

    def batches(parts: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            for source in part["source"].to_pylist():
                products = rows(source)
                while chunk := list(islice(products, 4096)):
                    # Not pandas: a column without values would hold NaN, and pyarrow refuses to write it as strings.
                    yield pa.RecordBatch.from_pylist(chunk, schema=schema)

    frame = spark.createDataFrame([(source,) for source in sources], "source string")
    return frame.repartition(max(1, len(sources))).mapInArrow(batches, to_spark(schema))
