"""Labelled Parquet to batches of decoded photos and token ids, read by petastorm.

The only file that names petastorm. A folder with petastorm's own pickled metadata is refused before petastorm sees it:
`make_batch_reader` unpickles `_common_metadata`, so a foreign folder could run code.
"""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.errors import CatalogError
from fashion_udf.model.tokenizer import MAX_TOKENS, encode, tokenizer_from_bytes
from fashion_udf.photos.decode import decode

if TYPE_CHECKING:
    import tensorflow as tf

#: What `fashion-udf training-set` writes. No column is null: petastorm turns a null string into the word "None".
TRAINING_SET = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # empty: no text
        pa.field("image", pa.binary(), nullable=False),  # empty: no photo
        pa.field("category", pa.string(), nullable=False),
    ]
)


#: A change of a text in training: (product id, text, category) -> text.
Edit = Callable[[str, str, str], str]

#: The model's inputs, in its order.
INPUTS = ("image", "image_present", "token_ids")

#: Token ids are padded to a multiple of this: each new width retraces the training step, which takes half a minute.
TOKEN_STEP = 48


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # options of glibc's mallopt(3)


@dataclass(frozen=True)
class Preparation:
    """How rows become model inputs."""

    tokenizer: bytes
    labels: tuple[str, ...]
    image_size: int


@dataclass(frozen=True)
class Shard:
    """Which row groups a worker reads: every `count`th from `index`. The worker reads them again after the last one."""

    index: int = 0
    count: int = 1


WHOLE = Shard()


def require_plain_parquet(folder: Path) -> list[Path]:
    """Return the Parquet files of a split, refusing anything that petastorm would unpickle.

    Raises:
        CatalogError: the folder is missing or empty, or carries `_metadata`, `_common_metadata` or a footer key that
            starts with `dataset-toolkit.`.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise CatalogError(f"Expected Parquet files, as fashion-udf training-set writes them. Received: {folder}")
    for name in ("_metadata", "_common_metadata"):
        if (folder / name).exists():
            raise CatalogError(f"Expected a plain Parquet folder: {name} may carry pickled code. Received: {folder}")
    for file in files:
        footer = pq.read_schema(file).metadata or {}
        if any(key.startswith(b"dataset-toolkit.") for key in footer):
            raise CatalogError(f"Expected no 'dataset-toolkit.' footer key: it holds pickled code. Received: {file}")
    return files


def count(folder: Path) -> int:
    """Return the number of rows of a split, from the Parquet footers."""
    return sum(pq.read_metadata(file).num_rows for file in require_plain_parquet(folder))


def labels(folder: Path) -> tuple[str, ...]:
    """Return the sorted category names of a split."""
    table = pq.read_table(require_plain_parquet(folder), columns=["category"])
    return tuple(sorted(set(table["category"].to_pylist())))


def training_batches(
    folder: Path,
    preparation: Preparation,
    batch_size: int,
    seed: int,
    shard: Shard = WHOLE,
    skip: int = 0,
    edit: Edit | None = None,
) -> tf.data.Dataset:
    """Read one shuffled epoch of full batches, without its first `skip` ones; `edit` changes each text.

    Returns:
        Pairs of inputs (`image` uint8[n, s, s, 3], `image_present` float32[n, 1], `token_ids` int32[n, t]) and the
        label index int32[n]; the last batch is dropped when it is not full.
    """
    rows = _rows(folder, seed, shard).shuffle(8192, seed=seed)  # encoded photos: about 64 MB at 8 KB each
    if shard.count > 1:  # workers may have unequal numbers of row groups, and none may run dry before the others
        rows = rows.repeat()
    return _prepared(rows.batch(batch_size, drop_remainder=True).skip(skip), preparation, edit)


def _rows(folder: Path, seed: int, shard: Shard) -> tf.data.Dataset:
    import tensorflow as tf

    expected = count(folder)
    groups = sum(pq.read_metadata(file).num_row_groups for file in require_plain_parquet(folder))
    if groups < shard.count:
        raise CatalogError(f"Expected a row group for each of {shard.count} workers in {folder}. Received: {groups}")

    def batches() -> Iterator[dict[str, Any]]:
        _keep_freed_memory()
        with warnings.catch_warnings():
            # petastorm 0.13 imports and calls interfaces that pyarrow 14 deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            from petastorm import make_batch_reader

            # A single worker thread: with more, row groups arrive in any order and no seed repeats an epoch.
            with make_batch_reader(
                f"file://{folder.resolve()}",
                schema_fields=TRAINING_SET.names,
                num_epochs=1,
                workers_count=1,
                shuffle_row_groups=True,
                seed=seed,
                cur_shard=shard.index if shard.count > 1 else None,
                shard_count=shard.count if shard.count > 1 else None,
            ) as reader:
                # The cleanup prints "Cache cleanup complete." on standard output, where results go. Nothing is cached.
                reader.cleanup_cache = lambda: None
                received = 0
                # Iterated twice, because petastorm can end too early: its pool checks that each row group handed out is
                # read, then that all are handed out. Another thread may hand one out between the two checks.
                for batch in chain(reader, reader):
                    received += len(batch.product_id)
                    yield {name: np.asarray(getattr(batch, name), dtype=object) for name in TRAINING_SET.names}
                if shard.count == 1 and received != expected:
                    raise CatalogError(f"Expected {expected} rows from {folder}. Received: {received}")

    signature = {name: tf.TensorSpec([None], tf.string) for name in TRAINING_SET.names}
    return tf.data.Dataset.from_generator(batches, output_signature=signature).unbatch()


def _keep_freed_memory() -> None:
    """Let glibc keep the memory that TensorFlow frees, for the next step to use again.

    TensorFlow's generator dataset sets M_TRIM_THRESHOLD to 128 KB when it is made. Without this function the memory of
    each tensor then goes back to the system and is faulted in anew: 42,000 page faults a step instead of 2, and steps
    of 0.37 s instead of 0.29 s (TensorFlow 2.21, 32 photos of 64 pixels, two cores). No environment variable helps:
    TensorFlow's call comes later and wins.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            libc.mallopt(option, 1 << 30)


def input_arrays(
    preparation: Preparation,
) -> Callable[[Sequence[bytes], Sequence[str], Sequence[str]], tuple[NDArray[Any], ...]]:
    """Return a function of n photos, texts and categories.

    The function returns the arrays of `INPUTS` (uint8[n, s, s, 3], float32[n, 1], int32[n, t]) and the label index
    int32[n], which is -1 for a category that is not in `preparation.labels`.
    """
    tokenizer = tokenizer_from_bytes(preparation.tokenizer)
    index = {label: position for position, label in enumerate(preparation.labels)}
    size = preparation.image_size

    def prepare(photos: Sequence[bytes], texts: Sequence[str], categories: Sequence[str]) -> tuple[NDArray[Any], ...]:
        pixels = np.full((len(photos), size, size, 3), 255, np.uint8)
        present = np.zeros((len(photos), 1), np.float32)
        for row, data in enumerate(photos):
            decoded = decode(data, size)
            if decoded.pixels is not None:
                pixels[row], present[row] = decoded.pixels, 1.0
        token_ids = encode(tokenizer, texts)
        width = min(MAX_TOKENS, -(-token_ids.shape[1] // TOKEN_STEP) * TOKEN_STEP)
        token_ids = np.pad(token_ids, ((0, 0), (0, width - token_ids.shape[1])))
        label = np.asarray([index.get(category, -1) for category in categories], np.int32)
        return pixels, present, token_ids, label

    return prepare


def _prepared(batches: tf.data.Dataset, preparation: Preparation, edit: Edit | None) -> tf.data.Dataset:
    import tensorflow as tf

    arrays, size = input_arrays(preparation), preparation.image_size

    def prepare(ids: Any, texts: Any, images: Any, categories: Any) -> tuple[NDArray[Any], ...]:
        names, words, labels = ([value.decode() for value in values] for values in (ids, texts, categories))
        if edit:
            words = [edit(*row) for row in zip(names, words, labels, strict=True)]
        return arrays(images, words, labels)

    def shaped(row: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        *inputs, label = tf.numpy_function(
            prepare, [row[name] for name in TRAINING_SET.names], [tf.uint8, tf.float32, tf.int32, tf.int32]
        )
        for values, shape in zip(inputs, ([None, size, size, 3], [None, 1], [None, None]), strict=True):
            values.set_shape(shape)
        label.set_shape([None])
        return dict(zip(INPUTS, inputs, strict=True)), label

    return batches.map(shaped, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(4)
