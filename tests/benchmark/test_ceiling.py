"""Decode and engine alone, in plain processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashion_udf.model import bundle
from tests.benchmark import catalogs, ceiling


def test_two_processes_score_every_row_of_a_catalog_once(tmp_path: Path) -> None:
    products = catalogs.prepare(tmp_path, 5, None)
    assert ceiling.rows_per_second(products.folder / "bytes", "builtin", "openvino-f32", 2) > 0


def test_the_processes_share_the_rows(tmp_path: Path) -> None:
    products = catalogs.prepare(tmp_path, 5, None)
    model = bundle.read("builtin")
    parts = [ceiling.batches(model, products.folder / "bytes", part, 2) for part in range(2)]
    photos = [photo for batches in parts for batch, _ in batches for photo in batch]
    assert sorted(photos) == sorted(products.photo(index).read_bytes() for index in range(5))


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    products = catalogs.prepare(tmp_path, 2, None)
    with pytest.raises(RuntimeError, match=r"Expected the ceiling's processes to end. Received: \[1, 1\]"):
        ceiling.rows_per_second(products.folder / "bytes", "builtin", "openvino-f64", 2)
