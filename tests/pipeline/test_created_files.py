"""Files of object stores that tasks create: a second attempt at a task, as speculation starts, adds none."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.pipeline import created_files
from fashion_udf.table.paths import Location

_ROWS = pa.table({"product_id": [str(number) for number in range(50)]})


def test_attempts_at_one_task_make_one_file_and_tell_the_same(tmp_path: Path) -> None:
    """The attempts' rows are in another order, as after a shuffle: their files are not the same bytes."""
    place = Location(str(tmp_path), "tags/data/s1")
    attempts = [_ROWS.take(list(range(start, 50)) + list(range(start))) for start in range(8)]
    create = partial(created_files._create, place, 3, schema=_ROWS.schema, options={})
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(create, attempts))
    assert len(set(told)) == 1
    (file,) = (each for each in place.store.list_files("tags/data") if not each.key.endswith("/"))
    with place.store.open(file.key) as opened:
        found = pq.read_table(io.BytesIO(opened.read()))
    assert sorted(found["product_id"].to_pylist()) == sorted(_ROWS["product_id"].to_pylist())
