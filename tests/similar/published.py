"""Published lists of similar products without a run."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.similar.lists import SIMILAR
from fashion_udf.table import data_files, paths, snapshot
from fashion_udf.table.commit import Commit, DataFile, MadeFrom


def write(output: Path, lists: dict[str, list[str]], run_id: str, model_version: str = "m1") -> tuple[DataFile, ...]:
    """The lists where a run writes them, and the facts of the files; no commit names them yet."""
    rows = [
        {
            "product_id": name,
            "similar": [{"similar_id": other, "score": 0.5, "same_category": True} for other in others],
            "model_version": model_version,
            "spare": [],
            "exhausted": False,
            "fingerprint": 1,
        }
        for name, others in lists.items()
    ]
    directory = output / "similar" / "data" / run_id
    directory.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, SIMILAR), directory / f"{run_id}-part-00000.parquet")
    return data_files.described(paths.snapshot_dir(str(output), run_id, paths.SIMILAR))


def publish(output: Path, lists: dict[str, list[str]], model_version: str = "m1", run_id: str | None = None) -> Commit:
    """Publish lists on top of whatever is current."""
    run_id = run_id or paths.new_run_id()
    return commit_written(output, write(output, lists, run_id, model_version), run_id, len(lists), model_version)


def commit_written(
    output: Path, files: tuple[DataFile, ...], run_id: str, rows: int, model_version: str = "m1"
) -> Commit:
    """Publish written lists, as made from the current tags."""
    tags, parent = snapshot.newest(str(output)), snapshot.current(str(output), paths.SIMILAR)
    made_from = MadeFrom(tags.number, "0" * 64)
    return snapshot.publish(
        str(output), run_id, files, model_version, expected_rows=rows, parent=parent, made_from=made_from
    )
