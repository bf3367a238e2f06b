"""Read an epoch of training with petastorm: labelled Parquet to shuffled batches of decoded photos and token ids.

Only this module uses petastorm.
"""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.errors import CatalogError
from fashion_udf.model.tokenizer import MAX_TOKENS
from fashion_udf.photos.decode import decode

from .dataset import INPUTS, TRAINING_SET, Edit, Preparation, count, input_arrays, require_plain_parquet
from .outliers import PREFIX, Outliers, outlier_rows
from .photo_cache import PhotoCache

if TYPE_CHECKING:
    import tensorflow as tf

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # options of glibc's mallopt(3)
_START = 20  # characters of a description


@dataclass(frozen=True)
class Shard:
    """The row groups of a worker: every `count`th from `index`. After the last one, the worker starts again."""

    index: int = 0
    count: int = 1


WHOLE = Shard()
NO_OUTLIERS = Outliers()


def training_batches(
    folder: Path,
    preparation: Preparation,
    batch_size: int,
    seed: int,
    shard: Shard = WHOLE,
    skip: int = 0,
    edit: Edit | None = None,
    photos: PhotoCache | None = None,
    outliers: Outliers = NO_OUTLIERS,
) -> tf.data.Dataset:
    """Read one shuffled epoch of full batches, without its first `skip` batches.

    Args:
        folder: the split.
        preparation: how rows are converted to model inputs.
        batch_size: rows of a batch. The last batch is dropped if it is not full.
        seed: seed of the order, and of the outliers.
        shard: the worker's part of the rows.
        skip: number of batches to skip.
        edit: changes each text before it is tokenized.
        photos: cache of decoded photos, of the size in `preparation`.
        outliers: numbers of outliers that are added to the rows of the split.

    Returns:
        Triples of inputs (`image` uint8[n, s, s, 3], `image_present` float32[n, 1], `token_ids` int32[n, 100]), label
        indexes int32[n] and attributes int32[n, A], as in `input_arrays`. The attributes are -1 if the text has the
        row's own description, which may name them.
    """
    import tensorflow as tf

    rows = _rows(folder, seed, shard)
    if outliers.rows:
        made = _outliers(outliers, folder, preparation.image_size, seed, shard)
        shares = [float(count(folder)), float(outliers.rows)]
        rows = tf.data.Dataset.sample_from_datasets([rows, made], shares, seed, stop_on_empty_dataset=False)
    rows = rows.shuffle(8192, seed=seed)  # encoded photos: about 64 MB at 8 KB each
    if shard.count > 1:  # workers may have different numbers of row groups, but must have the same number of batches
        rows = rows.repeat()
    return _prepared(rows.batch(batch_size, drop_remainder=True).skip(skip), preparation, edit, photos)


def _rows(folder: Path, seed: int, shard: Shard) -> tf.data.Dataset:
    import tensorflow as tf

    expected = count(folder)
    groups = sum(pq.read_metadata(file).num_row_groups for file in require_plain_parquet(folder))
    if groups < shard.count:
        raise CatalogError(f"Expected a row group for each of {shard.count} workers in {folder}. Received: {groups}")

    def batches() -> Iterator[dict[str, Any]]:
        _keep_freed_memory()
        with warnings.catch_warnings():
            # petastorm 0.13 uses interfaces that pyarrow 14 deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            from petastorm import make_batch_reader

            # One worker thread: with more, row groups arrive in any order, and a seed does not repeat an epoch.
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
                # The cleanup would print to standard output, which is for results. Nothing is cached.
                reader.cleanup_cache = lambda: None
                received = 0
                # The reader is iterated twice, because it can end too early: its pool first checks that each assigned
                # row group is read, and then that all are assigned. Another thread may assign one between the checks.
                for batch in chain(reader, reader):
                    received += len(batch.product_id)
                    yield {name: np.asarray(getattr(batch, name), dtype=object) for name in TRAINING_SET.names}
                if shard.count == 1 and received != expected:
                    raise CatalogError(f"Expected {expected} rows from {folder}. Received: {received}")

    signature = {name: tf.TensorSpec([None], tf.string) for name in TRAINING_SET.names}
    return tf.data.Dataset.from_generator(batches, output_signature=signature).unbatch()


def _outliers(settings: Outliers, folder: Path, size: int, seed: int, shard: Shard) -> tf.data.Dataset:
    """Return a worker's part of the outliers of an epoch."""
    import tensorflow as tf

    def rows() -> Iterator[dict[str, Any]]:
        _keep_freed_memory()
        return islice(outlier_rows(settings, folder, size, seed), shard.index, None, shard.count)

    signature = {name: tf.TensorSpec([], tf.string) for name in TRAINING_SET.names}
    return tf.data.Dataset.from_generator(rows, output_signature=signature)


def _keep_freed_memory() -> None:
    """Let glibc keep the memory that TensorFlow frees, so that the next step uses it again.

    TensorFlow's generator dataset sets M_TRIM_THRESHOLD to 128 KB. Without this function, the memory of each tensor
    goes back to the system, and tens of thousands of page faults make each step slower (TensorFlow 2.21). An
    environment variable does not help, because TensorFlow's call comes later.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            libc.mallopt(option, 1 << 30)


def _prepared(
    batches: tf.data.Dataset, preparation: Preparation, edit: Edit | None, photos: PhotoCache | None
) -> tf.data.Dataset:
    import tensorflow as tf

    size = preparation.image_size

    def shaped(row: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        *inputs, label, attributes = tf.numpy_function(
            _prepare(preparation, edit, photos),
            [row[name] for name in TRAINING_SET.names],
            [tf.uint8, tf.float32, tf.int32, tf.int32, tf.int32],
        )
        for values, shape in zip(inputs, ([None, size, size, 3], [None, 1], [None, MAX_TOKENS]), strict=True):
            values.set_shape(shape)
        label.set_shape([None])
        attributes.set_shape([None, len(preparation.attributes)])
        return dict(zip(INPUTS, inputs, strict=True)), label, attributes

    return batches.map(shaped, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(4)


def _prepare(preparation: Preparation, edit: Edit | None, photos: PhotoCache | None) -> Callable[..., Any]:
    """Return a function from the columns of `TRAINING_SET`, in bytes, to the arrays of a batch."""
    arrays = input_arrays(preparation)

    def prepare(ids: Any, texts: Any, images: Any, categories: Any, attributes: Any) -> tuple[NDArray[Any], ...]:
        names, words, labels, given = (
            [value.decode() for value in values] for values in (ids, texts, categories, attributes)
        )
        written = [edit(*row) for row in zip(names, words, labels, strict=True)] if edit else words
        here = images if photos is None else [b""] * len(images)
        pixels, present, token_ids, label, values = arrays(here, written, labels, given)
        if photos is not None:
            for row, (name, data) in enumerate(zip(names, images, strict=True)):
                square = decode(data, photos.size).pixels if name.startswith(PREFIX) else photos.decode(name, data)
                if square is not None:
                    pixels[row], present[row] = square, 1.0
        values[[_tells(*pair) for pair in zip(words, written, strict=True)]] = -1
        return pixels, present, token_ids, label, values

    return prepare


def _tells(text: str, written: str) -> bool:
    """Return whether an augmented text has the start of the row's own description.

    A description often names colour, season and use. With it, the model would learn to read the attributes there and
    not from the title and the photo.
    """
    own = text.partition("\n")[2][:_START]
    return bool(own) and own in written
