"""The job in Daft that ours is compared with gives the reference's categories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fashion_udf.model import bundle, tokenizer
from fashion_udf.model.engines import registry
from fashion_udf.photos import decode
from tests.benchmark import catalogs, daft_job
from tests.submit import REPOSITORY

ROWS = 3


def test_its_model_gives_the_results_of_the_reference_engine(tmp_path: Path) -> None:
    table = pq.read_table(catalogs.prepare(tmp_path, ROWS, None).folder / "bytes")
    columns = [table[name].to_pylist() for name in ("title", "description", "image")]
    scored = daft_job.Scorer("builtin", "openvino-f32").score(*columns).to_pylist()
    model = bundle.read("builtin")
    predict = registry.create("openvino", model, "f32", threads=1)
    reader = tokenizer.tokenizer_from_bytes(model.files["tokenizer.json"])
    for found, title, description, photo in zip(scored, *columns, strict=True):
        pixels = decode.decode(photo, model.manifest.image.size).pixels
        assert pixels is not None
        ids = tokenizer.encode(reader, [tokenizer.product_text(title, description)])
        expected = predict(pixels[None], np.ones((1, 1), np.float32), ids)
        assert found["category"] == model.manifest.labels[int(expected.logits[0, :-1].argmax())]
        assert np.dot(found["embedding"], expected.embedding[0]) > 0.95, "its pixels are decoded in full"
        assert 0 < found["confidence"] <= 1


def test_it_writes_a_row_for_each_product_and_prints_the_seconds(tmp_path: Path) -> None:
    pytest.importorskip("daft", reason="needs pip install daft")
    catalog, output = catalogs.prepare(tmp_path, ROWS, None).folder / "bytes", tmp_path / "out"
    command = [sys.executable, "-m", "tests.benchmark.daft_job", "--mode", "openvino-f32", "--cores", "2"]
    command += ["--catalog", str(catalog), "--output", str(output)]
    ended = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert float(ended.stdout) > 0
    products = pq.read_table(catalog)["product_id"].to_pylist()
    assert sorted(pq.read_table(output)["product_id"].to_pylist()) == sorted(products)
