"""Labelled Parquet read by pyarrow, in file order: for measuring, which shuffles nothing and needs no TensorFlow.

Rows are read a few at a time: the photos of a large catalog do not fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
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


def titles(texts: list[str]) -> list[str]:
    """Return the first line of each text: `fashion_udf.model.tokenizer.product_text` puts the title there."""
    return [text.partition("\n")[0] for text in texts]


def batches(
    folder: Path, preparation: dataset.Preparation, size: int, edit: Callable[[str], str] = str
) -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[np.int32]]]:
    """Read every row of a split once, in file order.

    Batches go on from one file into the next: a `tf.function` is traced anew for each number of rows that it meets.

    Args:
        folder: the split.
        preparation: how rows become model inputs.
        size: rows of a batch; the last batch may be smaller.
        edit: applied to every text before it is tokenized.

    Returns:
        Pairs of inputs, by the names of `training.data.dataset.INPUTS`, and the label index int32[n].
    """
    arrays = dataset.input_arrays(preparation)
    rows = _rows(folder, dataset.TRAINING_SET.names)
    while batch := list(islice(rows, size)):
        texts = [edit(row["text"]) for row in batch]
        *inputs, label = arrays([row["image"] for row in batch], texts, [row["category"] for row in batch])
        yield dict(zip(dataset.INPUTS, inputs, strict=True)), label


def photos(folder: Path, product_ids: Set[str]) -> dict[str, bytes]:
    """Return the photos of some products of a split; an absent photo is empty."""
    rows = _rows(folder, ["product_id", "image"])
    return {row["product_id"]: row["image"] for row in rows if row["product_id"] in product_ids}


def _rows(folder: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield every row of a split as a dict of `columns`, in file order."""
    for file in dataset.require_plain_parquet(folder):
        for rows in pq.ParquetFile(file).iter_batches(_ROWS, columns=list(columns)):
            yield from rows.to_pylist()
