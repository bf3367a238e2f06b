"""A training set of generated products, to check a host."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.model.tokenizer import product_text
from fashion_udf.samples import catalog
from fashion_udf.samples.catalog import Product

from .dataset import TRAINING_SET


def write(folder: Path, rows: int) -> None:
    """Write a split `train` of `rows`, and validation and test of an eighth each.

    Every fourth row has no text, every fifth no photo.
    """
    products = catalog.products(rows + 2 * (rows // 8), seed=5)
    for split, count in (("train", rows), ("validation", rows // 8), ("test", rows // 8)):
        (folder / split).mkdir(parents=True)
        table = _table(list(islice(products, count)))
        pq.write_table(table, folder / split / "part-0.parquet", row_group_size=max(count // 8, 1))


def _table(products: Sequence[Product]) -> pa.Table:
    columns = {
        "product_id": [product.product_id for product in products],
        "text": [product_text(each.title, each.description) if at % 4 else "" for at, each in enumerate(products)],
        "image": [(each.image or b"") if at % 5 != 1 else b"" for at, each in enumerate(products)],
        "category": [product.category for product in products],
        "attributes": ["{}"] * len(products),
    }
    return pa.table(columns, schema=TRAINING_SET)
