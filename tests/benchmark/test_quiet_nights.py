"""The made-up table of the quiet nights is one of ours, and the job finds nothing to do on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from fashion_udf.schema import TAGS
from fashion_udf.table import snapshot
from tests.benchmark import catalogs, quiet_nights
from tests.benchmark.measured_rows import Options


def test_made_up_rows_have_the_schema_of_the_table_and_embeddings_of_unit_length() -> None:
    rows = pa.table({"product_id": ["a", "b"], "fingerprint": ["f", "g"]})
    table = quiet_nights._tags(rows, "run", "v1")
    assert table.schema.equals(TAGS)
    assert table["product_id"].to_pylist() == ["a", "b"]
    lengths = [np.linalg.norm(vector) for vector in table["embedding"].to_pylist()]
    assert np.allclose(lengths, 1, atol=1e-6)


def test_a_night_on_the_made_up_table_scores_and_publishes_nothing(tmp_path: Path) -> None:
    products = catalogs.prepare(tmp_path, 3, None)
    options = Options(rows=3, runs=1, bundle="builtin", master="local[2]", night_rows=0, quiet_rows=200, work=tmp_path)
    night = quiet_nights._night("openvino-f32", products, options, 200, tmp_path / "nights")
    assert (night.rows, night.scored) == (200, 0) and night.driver_bytes > 100_000_000
    commit = snapshot.current(str(tmp_path / "nights" / "output"))
    assert commit is not None and (commit.number, commit.rows) == (1, 200)
