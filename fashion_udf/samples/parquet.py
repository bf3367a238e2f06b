"""The generated catalog as Parquet files, and an overview of its pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fashion_udf.samples.catalog import CATEGORIES, Product

FILES = 4
ROW_GROUP = 64  # rows; a reader has one row group of photos in memory at a time

SAMPLE = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("image", pa.binary()),
        pa.field("category", pa.string()),
    ]
)


def write(rows: Sequence[Product], output: Path) -> list[Path]:
    """Write the rows to `FILES` Parquet files in turn, so that every file has a share of the broken rows."""
    output.mkdir(parents=True, exist_ok=True)
    paths = [output / f"part-{number:05d}.parquet" for number in range(FILES)]
    for number, path in enumerate(paths):
        table = pa.Table.from_pylist([asdict(row) for row in rows[number::FILES]], SAMPLE)
        pq.write_table(table, path, row_group_size=ROW_GROUP, compression="zstd")
    return paths


def contact_sheet(rows: Sequence[Product], across: int = 8, size: int = 160) -> Image.Image:
    """Return a sheet of the first `across` pictures of every category, one category a line: RGB, `size` pixels each."""
    sheet = Image.new("RGB", (across * size, len(CATEGORIES) * size), "white")
    for line, category in enumerate(CATEGORIES):
        photos = [row.image for row in rows if row.category == category and row.image][:across]
        for column, photo in enumerate(photos):
            with Image.open(io.BytesIO(photo)) as picture:
                sheet.paste(picture.resize((size, size)), (column * size, line * size))
    return sheet
