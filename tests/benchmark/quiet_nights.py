"""Nights with nothing changed, on large tables: what carrying over costs, and the memory of the driver.

The table is published by our own code from made-up results: scoring a million products takes hours. The fingerprints in
it are those that the job plans with, so the night finds nothing to do.
"""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from fashion_udf.model import bundle
from fashion_udf.schema import EMBEDDING_SIZE, TAGS
from fashion_udf.table import data_files, paths, snapshot
from tests.benchmark import measured_rows
from tests.benchmark.catalogs import Catalogs
from tests.benchmark.measured_rows import Options, Row
from tests.benchmark.nights import SCHEMA, Night
from tests.benchmark.submitted import submit

#: The smaller table is this part of the larger one: the driver must need the same for both.
SMALLER = 10
FILE_ROWS = 250_000  # about 256 MB
_PROBE_ROWS = 1000
_ROW = Row("quiet night", "tag_catalog", measured_rows.FASTEST, "night")
_VERSION = "input.columns.image_version=image_version"


def measure(mode: str, products: Catalogs, options: Options) -> list[Night]:
    """Run a night with nothing changed on a table of `options.quiet_rows` products, and on a tenth of it.

    Args:
        mode: an engine and a precision.
        products: one of whose photos every row names.
        options: the options.

    Raises:
        RuntimeError: the night published something, so that the figures say nothing.
    """
    folder = options.work / "quiet-nights"
    _night(mode, products, options, _PROBE_ROWS, folder)  # would a million rows be scored, it would take hours
    return [
        _night(mode, products, options, count, folder) for count in (options.quiet_rows // SMALLER, options.quiet_rows)
    ]


def _night(mode: str, products: Catalogs, options: Options, count: int, folder: Path) -> Night:
    shutil.rmtree(folder, ignore_errors=True)
    catalog, output = folder / "catalog", folder / "output"
    catalog.mkdir(parents=True)
    pq.write_table(made_up_catalog(products, count), catalog / "part-00000.parquet", row_group_size=FILE_ROWS)
    arguments = measured_rows.job_arguments(mode, products, options, catalog, output, _VERSION)
    script = Path(__file__).parent / "fingerprints.py"
    submit(folder / "spark", script, [*arguments, "--output", str(folder / "fingerprints")], options.master)
    publish(folder / "fingerprints", output, options.bundle)
    published = snapshot.current(str(output))
    done = measured_rows.submitted(_ROW, mode, products, options, catalog, output, _VERSION)
    if snapshot.current(str(output)) != published:
        raise RuntimeError("Expected a night with nothing to do. Received: a new snapshot")
    name = "nothing changed, table made up"
    return Night(name, count, 0, done.session_seconds, done.process_seconds, done.driver_bytes)


def made_up_catalog(products: Catalogs, count: int, changed: int = 0) -> pa.Table:
    """Return a catalog of as many products; the last `changed` have another title than without."""
    numbers = [str(number) for number in range(count)]
    columns = {
        "product_id": numbers,
        "title": [
            f"{products.items[0].title} {number}{' new' if int(number) >= count - changed else ''}"
            for number in numbers
        ],
        "description": [products.items[0].description] * count,
        "image_uri": [str(products.photo(0).absolute())] * count,
        "image_version": ["1"] * count,
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def publish(fingerprints: Path, output: Path, reference: str, distinct: int | None = None) -> None:
    """Publish a made-up table with the fingerprints that the job plans with.

    Args:
        fingerprints: Parquet files of ids and fingerprints.
        output: of the job.
        reference: the bundle's.
        distinct: embeddings; a table with few of them takes little space. None: each row has its own.
    """
    model_version, run_id = bundle.read(reference).model_version, paths.new_run_id()
    place = paths.snapshot_dir(str(output), run_id)
    directory = Path(str(place))
    directory.mkdir(parents=True)
    rows = ds.dataset(fingerprints, format="parquet").to_table()
    for number, first in enumerate(range(0, len(rows), FILE_ROWS)):
        table = _tags(rows.slice(first, FILE_ROWS).combine_chunks(), run_id, model_version, distinct)
        pq.write_table(table, directory / f"part-{number:05d}.parquet", compression="zstd")
    files = data_files.described(place)
    snapshot.publish(str(output), run_id, files, model_version, expected_rows=len(rows), parent=None)


def _tags(rows: pa.Table, run_id: str, model_version: str, distinct: int | None = None) -> pa.Table:
    """Return rows of the output table, with an embedding and a category each that nobody computed."""
    count, draws = len(rows), np.random.default_rng(0)
    vectors = draws.standard_normal((distinct or count, EMBEDDING_SIZE), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.resize(vectors, (count, EMBEDDING_SIZE))
    ends = pa.array(np.arange(0, (count + 1) * EMBEDDING_SIZE, EMBEDDING_SIZE, dtype=np.int32))
    same = {
        "category": "Tshirts",
        "category_source": "model",
        "model_category": "Tshirts",
        "confidence": 0.5,
        "decision": "review",
        "top_categories": [{"category": "Tshirts", "confidence": 0.5}],
        "parent_category": "Upper garments",
        "parent_confidence": 0.75,
        "parent_decision": "auto",
        "novelty": 0.0,
        "attributes": [{"name": "gender", "value": "Men", "confidence": 0.75, "decision": "auto"}],
        "modality": "both",
        "status": "ok",
        "error": None,
        "reason": "new",
        "previous_category": None,
        "image_sha256": "0" * 64,
        "image_validator": None,
        "model_version": model_version,
        "run_id": run_id,
        "tagged_at": datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC),
    }
    columns = {name: rows[name] for name in ("product_id", "fingerprint")}
    columns["embedding"] = pa.ListArray.from_arrays(ends, pa.array(vectors.reshape(-1)))
    for name, value in same.items():
        columns[name] = pa.array([value], TAGS.field(name).type).take(pa.array(np.zeros(count, np.int64)))
    return pa.table([columns[name] for name in TAGS.names], schema=TAGS)
