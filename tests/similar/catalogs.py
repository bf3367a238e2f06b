"""Published tags of made-up products, for the tests of what is made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from fashion_udf import config
from fashion_udf.schema import TAGS
from fashion_udf.similar.settings import RecommendConfig
from fashion_udf.table import data_files, paths, snapshot
from fashion_udf.table.commit import Commit

MODEL = "m1"
Row = dict[str, Any]


def products(count: int, seed: int = 0, categories: tuple[str, ...] = ("Shirts", "Jeans", "Watches")) -> list[Row]:
    """Rows of a tags table: embeddings in clusters, some photos twice."""
    draws = np.random.default_rng(seed)
    centres = draws.standard_normal((len(categories) * 2, 16))
    return [product(f"p{number:04d}", draws, centres, categories) for number in range(count)]


def product(name: str, draws: np.random.Generator, centres: np.ndarray, categories: tuple[str, ...]) -> Row:
    """One row."""
    cluster = int(draws.integers(len(centres)))
    vector = centres[cluster] + 0.4 * draws.standard_normal(16)
    return {
        "product_id": name,
        "category": categories[cluster % len(categories)],
        "embedding": (vector / np.linalg.norm(vector)).astype(np.float32).tolist(),
        "image_sha256": f"{draws.integers(10_000):064x}",
        "attributes": [
            {"name": "gender", "value": str(draws.choice(["Men", "Women"])), "confidence": 0.9, "decision": "auto"},
            {"name": "season", "value": "Summer", "confidence": 0.9, "decision": "auto"},
        ],
        "model_version": MODEL,
    }


def publish(output: Path, rows: list[Row], model_version: str = MODEL) -> Commit:
    """Publish rows as the tags table."""
    defaults = {"category_source": "model", "decision": "auto", "modality": "both", "status": "ok", "reason": "new"}
    filled = [
        {**defaults, "fingerprint": "f", "run_id": "r", "tagged_at": datetime(2026, 1, 1, tzinfo=UTC), **row}
        for row in rows
    ]
    run_id = paths.new_run_id()
    directory = output / "tags" / "data" / run_id
    directory.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(filled, TAGS), directory / f"{run_id}-part-00000.parquet")
    files = data_files.described(paths.snapshot_dir(str(output), run_id))
    parent = snapshot.current(str(output))
    return snapshot.publish(str(output), run_id, files, model_version, expected_rows=len(rows), parent=parent)


def settings(output: Path, **values: Any) -> RecommendConfig:
    """The configuration of a run."""
    return config.validate(RecommendConfig, {"output": {"path": str(output)}, "k": 4, **values}, "a test")


def lists(output: Path) -> dict[str, list[tuple[str, float]]]:
    """The published lists, after their files were checked."""
    commit = snapshot.current(str(output), paths.SIMILAR)
    assert commit is not None
    data_files.verify(str(output), commit, paths.SIMILAR)
    rows = ds.dataset(paths.data_dir(str(output), commit, paths.SIMILAR), format="parquet").to_table().to_pylist()
    assert len({row["product_id"] for row in rows}) == len(rows) == commit.rows
    return {row["product_id"]: [(each["similar_id"], each["score"]) for each in row["similar"]] for row in rows}


def expected(rows: list[Row], k: int = 4, related: dict[str, set[str]] | None = None) -> dict[str, list[str]]:
    """The ids of each list, by the definition; `related` names the categories that each is recommended from."""
    found = {}
    for row in rows:
        wanted = {row["category"]} if related is None else related.get(row["category"], set())
        pairs = [
            (
                -round(float(np.dot(np.float64(row["embedding"]), np.float64(other["embedding"]))), 6),
                other["product_id"],
            )
            for other in rows
            if other is not row and other["category"] in wanted and other["image_sha256"] != row["image_sha256"]
        ]
        found[row["product_id"]] = [name for _, name in sorted(pairs)[:k]]
    return found


def ids(found: dict[str, list[tuple[str, float]]]) -> dict[str, list[str]]:
    """The ids of lists."""
    return {name: [similar for similar, _ in entries] for name, entries in found.items()}
