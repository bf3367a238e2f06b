"""The queries of docs/queries.md run on a published table, and DuckDB, pandas, pyarrow and Spark read the same rows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf.schema import TAGS
from fashion_udf.table import paths
from tests.submit import REPOSITORY
from tests.tables import publish_staged

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUERIES = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "docs" / "queries.md").read_text(encoding="utf-8"), re.DOTALL)


def _row(number: int) -> dict[str, object]:
    first, second = ("Shirts", "Tops") if number % 2 else ("Tops", "Shirts")
    vector = np.random.default_rng(number).normal(size=256)
    return {
        "product_id": str(1160 + number),
        "category": "Kites" if number == 1 else first,
        "category_source": "override" if number == 1 else "model",
        "model_category": first,
        "confidence": 0.5 + number / 100,
        "decision": "review" if number < 5 else "auto",
        "top_categories": [{"category": first, "confidence": 0.5}, {"category": second, "confidence": 0.4}],
        "parent_category": "Upper garments",
        "parent_confidence": 0.75,
        "parent_decision": "auto",
        "novelty": number / 100,
        "attributes": [{"name": "base_colour", "value": "Red", "confidence": 0.75, "decision": "auto"}],
        "embedding": list(vector / np.linalg.norm(vector)),
        "modality": "text" if number == 2 else "both",
        "status": "image_corrupt" if number == 2 else "ok",
        "error": "JPEG: damaged" if number == 2 else None,
        "reason": "new",
        "previous_category": "Hats" if number == 4 else None,
        "fingerprint": f"{number:032d}-{number:032d}-{number:032d}",
        "image_sha256": "same" if number < 3 else str(number),
        "model_version": "a" * 64,
        "run_id": "run-1",
        "tagged_at": datetime(2026, 11, 25, tzinfo=UTC),
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("tags")
    (output / "staging" / "run-1").mkdir(parents=True)
    table = pa.Table.from_pylist([_row(number) for number in range(20)], schema=TAGS)
    pq.write_table(table, output / "staging" / "run-1" / "part-0.parquet")
    staged = output / "staging" / "run-1"
    commit = publish_staged(output, staged, "run-1", "a" * 64, expected_rows=20, parent=None)
    return paths.data_dir(str(output), commit)


def test_there_are_twelve_of_them() -> None:
    assert len(QUERIES) == 12


@pytest.mark.parametrize("query", QUERIES)
def test_the_query_runs_and_finds_something(directory: Path, query: str) -> None:
    with duckdb.connect() as connection:
        connection.execute((directory.parents[1] / "current.sql").read_text(encoding="utf-8"))
        assert connection.execute(query).fetchall()


def test_every_reader_sees_the_same_rows(directory: Path, spark: SparkSession) -> None:
    columns = ["product_id", "category", "confidence"]
    frames = {
        "pandas": pd.read_parquet(directory, columns=columns),
        "pyarrow": ds.dataset(directory, format="parquet").to_table(columns=columns).to_pandas(),
        "spark": spark.read.parquet(str(directory)).select(*columns).toPandas(),
        "duckdb": duckdb.sql(f"SELECT {', '.join(columns)} FROM '{directory}/*.parquet'").df(),
    }
    ordered = {name: frame.sort_values("product_id").reset_index(drop=True) for name, frame in frames.items()}
    for name, frame in ordered.items():
        pd.testing.assert_frame_equal(frame, ordered["pandas"], check_dtype=False, obj=name)
