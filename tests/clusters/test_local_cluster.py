"""Proof on a cluster: two executors whose Python has nothing installed score from the archive of `make dist`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pyspark
import pytest

from fashion_udf.samples import catalog
from fashion_udf.table import paths, snapshot
from tests.submit import REPOSITORY, submit


@pytest.fixture
def unpacked_archives_are_removed() -> Iterator[None]:
    """Remove what the workers of `local-cluster` leave in Spark's own directory: 0.6 GB for each executor."""
    work = Path(pyspark.__file__).parent / "work"
    before = set(work.glob("*"))
    yield
    for application in set(work.glob("*")) - before:
        shutil.rmtree(application)


@pytest.mark.usefixtures("unpacked_archives_are_removed")
def test_executors_with_a_bare_python_score_from_the_archive(archive: Path, bare_python: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as opened:
        packed = opened.getnames()
    assert "./fashion_udf/scoring/udf.py" in packed
    assert [name for name in packed if "samples" in name.split("/")] == []  # drawings, which no executor makes
    for package in ("fashion_udf", "openvino", "faiss", "PIL", "pandas", "pyarrow"):
        found = subprocess.run(
            [str(bare_python), "-I", "-c", f"import {package}"], cwd=tmp_path, capture_output=True, check=False
        )
        assert found.returncode != 0, f"{package} must come from the archive alone"

    products = list(catalog.products(64, seed=3))
    (tmp_path / "in").mkdir()
    columns = {
        "product_id": [product.product_id for product in products],
        "title": [product.title for product in products],
        "description": [product.description for product in products],
        "image": [product.image for product in products],
    }
    pq.write_table(pa.table(columns), tmp_path / "in" / "part.parquet", row_group_size=8)
    result = submit(
        "tag_catalog",
        *("--config", str(REPOSITORY / "conf" / "nightly.yaml")),
        *("--set", f"input.path={tmp_path / 'in'}", "--set", f"output.path={tmp_path / 'out'}"),
        options=[
            *("--master", "local-cluster[2,1,2048]"),
            *("--archives", f"{archive}#env"),
            *("--conf", "spark.executorEnv.PYTHONPATH=env"),
            *("--conf", f"spark.pyspark.python={bare_python}"),
            *("--conf", f"spark.pyspark.driver.python={sys.executable}"),
            *("--conf", "spark.sql.files.maxPartitionBytes=65536"),
        ],
    )
    assert result.returncode == 0, result.stdout[-5000:]
    commit = snapshot.current(str(tmp_path / "out"))
    assert commit is not None
    table = ds.dataset(paths.data_dir(str(tmp_path / "out"), commit), format="parquet").to_table()
    expected = {product.product_id: "ok" if product.title else "text_missing" for product in products}
    assert dict(zip(table["product_id"].to_pylist(), table["status"].to_pylist(), strict=True)) == expected
