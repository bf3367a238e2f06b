"""A training set of generated garments, as fashion-udf training-set writes it, without Spark."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.model.tokenizer import product_text
from fashion_udf.samples import catalog
from training.data.dataset import TRAINING_SET

#: Rows by split.
COUNTS = {"train": 64, "validation": 16, "test": 16}


def write(folder: Path, photos: bool = True) -> Path:
    """Write the three splits, two row groups each, with or without the photos, and return the folder."""
    products = list(catalog.products(sum(COUNTS.values()), seed=5))
    for split, count in COUNTS.items():
        part, products = products[:count], products[count:]
        columns = {
            "product_id": [product.product_id for product in part],
            # A product of the catalog may have no text. Here each has one: every way to see a row counts all rows.
            "text": [product_text(product.title, product.description) or product.category for product in part],
            "image": [(product.image if photos else None) or b"" for product in part],
            "category": [product.category for product in part],
            "attributes": [json.dumps(_attributes(number)) for number in range(count)],
        }
        (folder / split).mkdir(parents=True)
        table = pa.table(columns, schema=TRAINING_SET)
        pq.write_table(table, folder / split / "part-0.parquet", row_group_size=count // 2)
    return folder


def _attributes(number: int) -> dict[str, str]:
    """Return two attributes, one or none, of two values each."""
    known = {"gender": ("Men", "Women")[number % 2], "season": ("Summer", "Winter")[number // 2 % 2]}
    return {name: known[name] for name in list(known)[: number % 3]}
