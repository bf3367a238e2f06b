"""Read labelled Parquet with pyarrow, in file order, for measuring, which needs neither shuffling nor TensorFlow.

Few rows are read at a time, because the photos of a large catalog do not fit in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence, Set
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from . import dataset

_ROWS = 64  # read at a time


def column(folder: Path, name: str) -> list[str]:
    """Return a column of strings of a split."""
    return list(pq.read_table(dataset.require_plain_parquet(folder), columns=[name])[name].to_pylist())


def drawn(folder: Path, most: int) -> frozenset[str]:
    """Return the ids of at most `most` products of a split: those with the smallest sha256 of the id."""
    ids = column(folder, "product_id")
    return frozenset(sorted(ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:most])


def titles(texts: list[str]) -> list[str]:
    """Return the first line of each text: `fashion_udf.model.tokenizer.product_text` puts the title there."""
    return [text.partition("\n")[0] for text in texts]


def attributes(folder: Path, known: Sequence[dataset.Attribute]) -> NDArray[np.int32]:
    """Return the index of each attribute's value int32[n, A] of the rows of a split; -1 if unknown."""
    places = [(each.name, {value: place for place, value in enumerate(each.values)}) for each in known]
    given = [json.loads(text) for text in column(folder, "attributes")]
    found = [[values.get(row.get(name, ""), -1) for name, values in places] for row in given]
    return np.asarray(found, np.int32).reshape(len(given), len(places))


def batches(
    folder: Path,
    preparation: dataset.Preparation,
    size: int,
    edit: dataset.Edit | None = None,
    product_ids: Set[str] | None = None,
) -> Iterator[dataset.Batch]:
    """Read every row of a split once, in file order.

    A batch may span several files, because a `tf.function` is traced again for each new number of rows.

    Args:
        folder: the split.
        preparation: how rows are converted to model inputs.
        size: rows of a batch; the last batch may be smaller.
        edit: changes each text before it is tokenized.
        product_ids: ids of the rows to read; None means all.

    Returns:
        Triples of inputs, label indexes and attributes, as in `training.data.dataset.input_arrays`.
    """
    arrays = dataset.input_arrays(preparation)
    read = rows(folder, product_ids=product_ids)
    while batch := list(islice(read, size)):
        images, texts, categories, given = (
            [row[name] for row in batch] for name in ("image", "text", "category", "attributes")
        )
        if edit:
            texts = [edit(row["product_id"], row["text"], row["category"]) for row in batch]
        *inputs, label, attributes = arrays(images, texts, categories, given)
        yield dict(zip(dataset.INPUTS, inputs, strict=True)), label, attributes


def photos(folder: Path, product_ids: Set[str]) -> dict[str, bytes]:
    """Return the photos of some products of a split. A missing photo is empty."""
    read = rows(folder, ["product_id", "image"], product_ids)
    return {row["product_id"]: row["image"] for row in read}


def rows(
    folder: Path, columns: Sequence[str] = dataset.TRAINING_SET.names, product_ids: Set[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a split, or only those of `product_ids`, as dicts of `columns`, in file order."""
    for file in dataset.require_plain_parquet(folder):
        for part in pq.ParquetFile(file).iter_batches(_ROWS, columns=list(columns)):
            yield from (row for row in part.to_pylist() if product_ids is None or row["product_id"] in product_ids)
