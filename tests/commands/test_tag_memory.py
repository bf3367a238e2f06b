"""A heap of 1 GB, Spark's default: photos of Parquet files pass through it; a run that dies of memory says so."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.config import Limits
from fashion_udf.table import paths, snapshot
from tests import processes, small_bundle
from tests.soak import SOAK, TOTALS, rounds
from tests.submit import REPOSITORY, error_line, submit

LOCAL = ["--master", "local[2]", "--driver-memory"]
#: Files: bytes of a photo, and photos. Up to `GROUP` they are one row group. Writers put all of it into one dictionary.
LARGE, USUAL = (5_000_000, 51), (134_000, 1_900)
#: Photos that are larger than `limits.max_image_bytes`.
TOO_LARGE = (60_000_000, 4)
CATALOGS = {"one file": [LARGE], "several files": [USUAL, LARGE, TOO_LARGE, USUAL]}
if SOAK:
    CATALOGS |= {"one file of small photos": [(134_000, 1_900)], "eight files of 100 MB": [(134_000, 750)] * 8}
    CATALOGS |= {"10,000 photos of 300 KB in one of two files": [(300_000, 10_000), (1_000, 10)]}
    CATALOGS |= {"50 photos of 60 MB in one file": [(60_000_000, 50)]}
#: Bytes of a row group.
GROUP = 256_000_000
#: The most that a Python worker may hold: what docs/operations.md says, for a row group of that size.
WORKER_BYTES = 475_000_000 + 5 * GROUP // 2 + 100_000_000


def _photo(number: int, size: int) -> bytes:
    """A JPEG that comments make large, so that decoding it stays cheap."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 10, 10)).save(file, "JPEG")
    photo = file.getvalue()
    block, padding = random.Random(number).randbytes(60_000), bytearray()
    while len(padding) < size - len(photo):
        padding += b"\xff\xfe" + (len(block) + 2).to_bytes(2, "big") + block
    return photo[:2] + bytes(padding) + photo[2:]


def _catalog(folder: Path, files: list[tuple[int, int]]) -> Counter[str]:
    """Write a catalog; returns how many rows must get each status."""
    folder.mkdir()
    schema = pa.schema([("product_id", pa.string()), ("title", pa.string()), ("image", pa.binary())])
    statuses = Counter[str]()
    for name, (size, photos) in enumerate(files):
        with pq.ParquetWriter(folder / f"part-{name}.parquet", schema) as writer:
            for first in range(0, photos, GROUP // size):
                numbers = range(first, min(photos, first + GROUP // size))
                ids, images = [f"p{name}-{number}" for number in numbers], [_photo(each, size) for each in numbers]
                writer.write_table(pa.table([ids, ids, images], schema=schema))
        statuses["ok" if size <= Limits().max_image_bytes else "image_too_large"] += photos
    return statuses


def _arguments(source: Path, output: Path) -> list[str]:
    settings = {"input.path": source, "output.path": output, "bundle": small_bundle.directory()}
    settings |= {"gates.max_one_category": 1, "gates.max_failures": 1}
    return [
        *("--config", str(REPOSITORY / "conf" / "nightly.yaml")),
        *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
    ]


@pytest.mark.soak
@pytest.mark.timeout(0 if SOAK else 600)
@pytest.mark.parametrize("files", CATALOGS.values(), ids=CATALOGS)
def test_row_groups_of_256_mb_and_photos_of_5_mb_pass_through_a_heap_of_1_gb(
    tmp_path: Path, files: list[tuple[int, int]]
) -> None:
    statuses = _catalog(tmp_path / "in", files)
    for number, _ in rounds("nights in a heap of 1 GB", 1):
        output = str(tmp_path / f"out-{number}")
        with processes.peaks("pyspark.daemon") as workers:
            result = submit("tag_catalog", *_arguments(tmp_path / "in", Path(output)), options=[*LOCAL, "1g"])
        assert result.returncode == 0, result.stdout[-3000:]
        commit = snapshot.current(output)
        assert commit is not None
        table = ds.dataset(paths.data_dir(output, commit), format="parquet").to_table(["status", "modality"])
        assert Counter(table["status"].to_pylist()) == statuses
        assert Counter(table["modality"].to_pylist()) == Counter(both=statuses["ok"], text=statuses["image_too_large"])
        assert workers and max(workers.values()) <= WORKER_BYTES, workers
        TOTALS["MB of a worker"] = max(TOTALS["MB of a worker"], max(workers.values()) // 1_000_000)


def test_the_message_of_a_run_that_dies_of_memory_names_memory(tmp_path: Path) -> None:
    # Spark takes a line of JSON lines whole.
    (tmp_path / "in").mkdir()
    with open(tmp_path / "in" / "lines.json", "w", encoding="utf-8") as file:
        for number in range(20):
            json.dump({"product_id": str(number), "title": "x", "image": "A" * 4}, file)
            file.write("\n")
        file.write('{"product_id": "large", "title": "x", "image": "' + "A" * 250_000_000 + '"}\n')
    arguments = [*_arguments(tmp_path / "in", tmp_path / "out"), "--set", "input.format=json"]
    result = submit("tag_catalog", *arguments, options=[*LOCAL, "512m"])
    assert result.returncode == 1, result.stdout[-3000:]
    line = error_line(result)
    assert line.startswith("error: Expected the run to fit into Spark's memory. Received: java.lang.OutOfMemoryError")
    assert line.endswith("Raise spark.driver.memory (now 512m), before Spark starts: spark-submit --driver-memory 2g")
    (outcome,) = (tmp_path / "out" / "runs").glob("*/outcome.json")
    assert "java.lang.OutOfMemoryError" in json.loads(outcome.read_text())["message"]
