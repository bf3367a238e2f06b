"""A tags table of generated embeddings: categories of realistic sizes, in each of them clusters of near products."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.schema import EMBEDDING_SIZE, TAGS
from fashion_udf.table import data_files, paths, snapshot

CATEGORIES = 75
LARGEST = 0.25  # share of the largest category
_FILE_ROWS = 50_000
_CLUSTER = 200  # products of a cluster, on average


def sizes(rows: int) -> NDArray[np.int64]:
    """Products of each category: the first has a quarter, the others fall off as 1 / rank."""
    rest = 1 / np.arange(2, CATEGORIES + 1)
    shares = np.concatenate([[LARGEST], (1 - LARGEST) * rest / rest.sum()])
    found = np.floor(shares * rows).astype(np.int64)
    found[0] += rows - found.sum()
    return found


def publish(output: Path, rows: int, seed: int = 0, changed: float = 0.0, one_group: bool = False) -> None:
    """Publish a snapshot. With `changed`, that share of its products has another embedding than with the same seed."""
    run_id = paths.new_run_id()
    directory = output / "tags" / "data" / run_id
    directory.mkdir(parents=True)
    draws, changes = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    first = 0
    for number, count in enumerate([rows] if one_group else sizes(rows).tolist()):
        centre = draws.standard_normal(EMBEDDING_SIZE)
        centres = centre + 0.9 * draws.standard_normal((max(1, count // _CLUSTER), EMBEDDING_SIZE))
        for start in range(0, count, _FILE_ROWS):
            part = min(_FILE_ROWS, count - start)
            vectors = _vectors(draws, centres, part)
            other = changes.random(part) < changed
            vectors[other] = _vectors(changes, centres, int(other.sum()))
            pq.write_table(
                _table(first, f"Category {number:02d}", vectors), directory / f"{run_id}-part-{first:08d}.parquet"
            )
            first += part
    parent = snapshot.current(str(output))
    files = data_files.described(paths.snapshot_dir(str(output), run_id))
    snapshot.publish(str(output), run_id, files, "generated", expected_rows=rows, parent=parent)


def _vectors(draws: np.random.Generator, centres: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    noise = draws.standard_normal((count, EMBEDDING_SIZE), np.float32)
    vectors = centres.astype(np.float32)[draws.integers(len(centres), size=count)] + np.float32(0.7) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _table(first: int, category: str, vectors: NDArray[np.float32]) -> pa.Table:
    count = len(vectors)
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * EMBEDDING_SIZE)
    values = {
        "product_id": pa.array([f"p{number:08d}" for number in range(first, first + count)]),
        "category": pa.array([category] * count),
        "embedding": pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel())),
        "image_sha256": pa.array([f"{number:064x}" for number in range(first, first + count)]),
        "tagged_at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * count, TAGS.field("tagged_at").type),
        "model_version": pa.array(["generated"] * count),
    }
    words = {"category_source": "model", "decision": "auto", "modality": "both", "status": "ok", "reason": "new"}
    words |= {"fingerprint": "f", "run_id": "generated"}
    values |= {name: pa.array([word] * count) for name, word in words.items()}
    return pa.table([values.get(field.name, pa.nulls(count, field.type)) for field in TAGS], schema=TAGS)
