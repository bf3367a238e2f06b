"""Labelled Parquet read by pyarrow, in file order: for measuring, which shuffles nothing and needs no TensorFlow.

Photos are read batch by batch: those of a large catalog do not fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from . import dataset


def column(folder: Path, name: str) -> list[str]:
    """Return a column of strings of a split."""
    return list(pq.read_table(dataset.require_plain_parquet(folder), columns=[name])[name].to_pylist())


def titles(texts: list[str]) -> list[str]:
    """Return the first line of each text: `fashion_udf.model.tokenizer.product_text` puts the title there."""
    return [text.partition("\n")[0] for text in texts]


def batches(
    folder: Path, preparation: dataset.Preparation, size: int, edit: Callable[[str], str] = str
) -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[np.int32]]]:
    """Read every row of a split once, as `training.data.dataset.ordered_batches`, as arrays.

    Args:
        folder: the split.
        preparation: how rows become model inputs.
        size: rows of a batch; the last one of a file may be smaller.
        edit: applied to every text before it is tokenized.

    Returns:
        Pairs of inputs, by the names of `training.data.dataset.INPUTS`, and the label index int32[n].
    """
    arrays = dataset.input_arrays(preparation)
    for file in dataset.require_plain_parquet(folder):
        for rows in pq.ParquetFile(file).iter_batches(size, columns=dataset.TRAINING_SET.names):
            texts = [edit(text) for text in rows["text"].to_pylist()]
            *inputs, label = arrays(rows["image"].to_pylist(), texts, rows["category"].to_pylist())
            yield dict(zip(dataset.INPUTS, inputs, strict=True)), label


def photos(folder: Path, product_ids: Set[str]) -> dict[str, bytes]:
    """Return the photos of some products of a split; an absent photo is empty."""
    found = {}
    for file in dataset.require_plain_parquet(folder):
        for rows in pq.ParquetFile(file).iter_batches(64, columns=["product_id", "image"]):
            for name, photo in zip(rows["product_id"].to_pylist(), rows["image"], strict=True):
                if name in product_ids:
                    found[name] = photo.as_py()
    return found
