"""A training set in Parquet: its columns, their values, and the conversion of rows to model inputs.

A folder with pickled metadata of petastorm is refused before petastorm reads it (`training_batches`):
`make_batch_reader` unpickles `_common_metadata`, so that an untrusted folder could run code.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.errors import CatalogError
from fashion_udf.model.tokenizer import MAX_TOKENS, encode, tokenizer_from_bytes
from fashion_udf.photos.decode import decode

#: The columns of `fashion-udf training-set`. No value is null: petastorm converts a null string to the word "None".
TRAINING_SET = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # empty without a text
        pa.field("image", pa.binary(), nullable=False),  # empty without a photo
        pa.field("category", pa.string(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),  # a JSON object of strings; {} if none is known
    ]
)

#: The category of a product that has none of the labels.
OTHER = "other"

#: A change of a text in training: (product id, text, category) -> text.
Edit = Callable[[str, str, str], str]

#: The model's inputs, in its order.
INPUTS = ("image", "image_present", "token_ids")

#: A batch: inputs by the names of `INPUTS`, label indexes int32[n], and indexes of attributes' values int32[n, A].
Batch = tuple[dict[str, NDArray[Any]], NDArray[np.int32], NDArray[np.int32]]

#: Minimum of rows with a value of an attribute: one row is too few to learn from.
_FEWEST_ROWS = 2


@dataclass(frozen=True)
class Attribute:
    """A property of products beside their category, such as gender, and the values that the model predicts."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Preparation:
    """How rows are converted to model inputs, and categories and attributes to indexes."""

    tokenizer: bytes
    labels: tuple[str, ...]  # without `OTHER`
    image_size: int
    attributes: tuple[Attribute, ...] = ()


def require_plain_parquet(folder: Path) -> list[Path]:
    """Return the Parquet files of a split. Refuse files that petastorm would unpickle.

    Raises:
        CatalogError: the folder is missing or empty, has `_metadata`, `_common_metadata` or a footer key that starts
            with `dataset-toolkit.`, or lacks a column of `TRAINING_SET`.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise CatalogError(f"Expected Parquet files, as fashion-udf training-set writes them. Received: {folder}")
    for name in ("_metadata", "_common_metadata"):
        if (folder / name).exists():
            raise CatalogError(f"Expected a plain Parquet folder: {name} may hold pickled code. Received: {folder}")
    for file in files:
        schema = pq.read_schema(file)
        if any(key.startswith(b"dataset-toolkit.") for key in schema.metadata or {}):
            raise CatalogError(f"Expected no 'dataset-toolkit.' footer key: it holds pickled code. Received: {file}")
        if missing := [name for name in TRAINING_SET.names if name not in schema.names]:
            raise CatalogError(
                f"Expected the columns {', '.join(TRAINING_SET.names)}. Received: {file} without {', '.join(missing)}. "
                "Write it again with fashion-udf training-set"
            )
    return files


def count(folder: Path) -> int:
    """Return the number of rows of a split, from the Parquet footers."""
    return sum(pq.read_metadata(file).num_rows for file in require_plain_parquet(folder))


def labels(folder: Path) -> tuple[str, ...]:
    """Return the sorted category names of a split, without `OTHER`."""
    return tuple(sorted(_counts(folder, "category").keys() - {OTHER}))


def attribute_values(folder: Path) -> tuple[Attribute, ...]:
    """Return the attributes of a split by name, with their sorted values.

    A value of a single row is left out, and so is an attribute with fewer than two values.

    Raises:
        CatalogError: a row's attributes are not a JSON object of strings.
    """
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for text, count in _counts(folder, "attributes").items():
        for name, value in _attributes(text).items():
            rows[name][value] += count
    frequent = {name: sorted(value for value in seen if seen[value] >= _FEWEST_ROWS) for name, seen in rows.items()}
    return tuple(Attribute(name, tuple(frequent[name])) for name in sorted(frequent) if len(frequent[name]) >= 2)


def _counts(folder: Path, name: str) -> Counter[str]:
    """Count the rows of each value of a column, one file at a time."""
    rows: Counter[str] = Counter()
    for file in require_plain_parquet(folder):
        for entry in pc.value_counts(pq.read_table(file, columns=[name])[name]).to_pylist():
            rows[entry["values"]] += entry["counts"]
    return rows


@lru_cache(maxsize=65536)  # many rows have the same attributes
def _attributes(text: str) -> Mapping[str, str]:
    try:
        read = json.loads(text)
        if not all(isinstance(value, str) for value in read.values()):
            raise ValueError
    except (ValueError, AttributeError):
        raise CatalogError(
            f"Expected the column attributes to hold JSON objects of strings. Received: {text!r}"
        ) from None
    return dict(read)


def input_arrays(
    preparation: Preparation,
) -> Callable[[Sequence[bytes], Sequence[str], Sequence[str], Sequence[str]], tuple[NDArray[Any], ...]]:
    """Return a function of n photos, texts, categories and attributes (JSON objects).

    The function returns the arrays of `INPUTS` (uint8[n, s, s, 3], float32[n, 1], int32[n, 100]) and two more:

    - the label index int32[n]: K, the number of labels, for `OTHER`; -1 for a category that is not in `preparation`;
    - the index of each attribute's value int32[n, A]; -1 for a value that is missing or not in `preparation`.
    """
    tokenizer = tokenizer_from_bytes(preparation.tokenizer)
    index = {label: position for position, label in enumerate((*preparation.labels, OTHER))}
    values_of = [
        (attribute.name, {value: position for position, value in enumerate(attribute.values)})
        for attribute in preparation.attributes
    ]
    size = preparation.image_size

    def prepare(
        photos: Sequence[bytes], texts: Sequence[str], categories: Sequence[str], attributes: Sequence[str]
    ) -> tuple[NDArray[Any], ...]:
        pixels = np.full((len(photos), size, size, 3), 255, np.uint8)
        present = np.zeros((len(photos), 1), np.float32)
        for row, data in enumerate(photos):
            decoded = decode(data, size)
            if decoded.pixels is not None:
                pixels[row], present[row] = decoded.pixels, 1.0
        token_ids = encode(tokenizer, texts)
        # All batches have the same width, because each new width retraces the training step.
        token_ids = np.pad(token_ids, ((0, 0), (0, MAX_TOKENS - token_ids.shape[1])))
        label = np.asarray([index.get(category, -1) for category in categories], np.int32)
        values = np.full((len(photos), len(values_of)), -1, np.int32)
        for row, text in enumerate(attributes):
            given = _attributes(text)
            values[row] = [positions.get(given.get(name, ""), -1) for name, positions in values_of]
        return pixels, present, token_ids, label, values

    return prepare
