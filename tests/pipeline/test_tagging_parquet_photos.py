"""Photos in Parquet files through whole runs: each product gets its own, however chunks and tasks divide the files."""

from __future__ import annotations

import io
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import CatalogError
from fashion_udf.pipeline import chunks, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.table import paths, snapshot
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PRODUCTS = 30


def _photo(number: int) -> bytes | None:
    if number % 7 == 2:
        return None
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (number * 4, 255 - number * 4, number)).save(file, "PNG")
    return file.getvalue()


def _write(folder: Path, products: list[int], files: int) -> None:
    """Write the products in this order, in files with row groups of four; older files are replaced."""
    folder.mkdir(exist_ok=True)
    for part in range(files):
        some = products[part::files]
        photos = pa.array([_photo(number) for number in some], pa.binary())
        table = pa.table({"product_id": some, "title": [f"Red shirt {number}" for number in some], "image": photos})
        pq.write_table(table, folder / f"part {part}.parquet", row_group_size=4)


def _config(folder: Path) -> JobConfig:
    tree = {
        "input": {"path": str(folder / "in")},
        "output": {"path": str(folder / "out")},
        "bundle": str(small_bundle.directory()),
        "gates": {"max_one_category": 1.0, "max_row_drop": 1.0},
    }
    return config.validate(JobConfig, tree, "test")


def _digests(output: Path) -> dict[str, str | None]:
    commit = snapshot.current(str(output))
    assert commit is not None
    table = ds.dataset(paths.data_dir(str(output), commit), format="parquet").to_table(["product_id", "image_sha256"])
    return dict(zip(table["product_id"].to_pylist(), table["image_sha256"].to_pylist(), strict=True))


def _expected(products: list[int]) -> dict[str, str | None]:
    photos = {str(number): _photo(number) for number in products}
    return {name: None if photo is None else sha256(photo).hexdigest() for name, photo in photos.items()}


def test_every_product_gets_its_own_photo_in_chunks_of_parts_of_files(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MIN_CHUNK_ROWS", 8)
    monkeypatch.setattr(chunks, "TASK_ROWS", 3)
    _write(tmp_path / "in", [*range(PRODUCTS)], 2)
    tagging.tag(spark, _config(tmp_path))
    assert _digests(tmp_path / "out") == _expected([*range(PRODUCTS)])
    # What changes is found, and nothing else is scored; the rows have other places now.
    _write(tmp_path / "in", [*range(PRODUCTS + 2)][::-1], 2)
    outcome = tagging.tag(spark, _config(tmp_path))
    assert (outcome.counts.scored, outcome.counts.carried) == (2, PRODUCTS)
    assert _digests(tmp_path / "out") == _expected([*range(PRODUCTS + 2)])


def test_a_catalog_that_is_written_anew_between_plan_and_scoring_exchanges_no_photos(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "in", [*range(PRODUCTS)], 1)
    score = chunks.score

    def rewritten(*arguments: Any) -> int:
        _write(tmp_path / "in", [*range(PRODUCTS)][::-1], 1)
        return score(*arguments)

    monkeypatch.setattr(chunks, "score", rewritten)
    tagging.tag(spark, _config(tmp_path))
    assert _digests(tmp_path / "out") == _expected([*range(PRODUCTS)])


@pytest.mark.parametrize("command", [tagging.tag, tagging.preview])
def test_a_file_with_damaged_photos_ends_the_run_with_its_name(
    spark: SparkSession, tmp_path: Path, command: Callable[..., Any]
) -> None:
    _write(tmp_path / "in", [*range(PRODUCTS)], 1)
    (file,) = (tmp_path / "in").iterdir()
    chunk = pq.read_metadata(file).row_group(3).column(2)
    data = bytearray(file.read_bytes())
    start = chunk.dictionary_page_offset
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    file.write_bytes(data)
    with pytest.raises(
        CatalogError, match=r"^Expected file:/.*part%200\.parquet to be a readable Parquet file\. Received"
    ):
        command(spark, _config(tmp_path))


def test_a_backfill_whose_join_shuffles_the_rows_reads_the_right_photos(spark: SparkSession, tmp_path: Path) -> None:
    _write(tmp_path / "in", [*range(PRODUCTS)], 2)
    some = [*range(0, PRODUCTS, 3)]
    selected = spark.createDataFrame([(str(number),) for number in some], "product_id string").hint("shuffle_hash")
    tagging.tag(spark, _config(tmp_path), Scope(selected=selected))
    assert _digests(tmp_path / "out") == _expected(some)
