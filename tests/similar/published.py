"""Published lists of similar products without a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.similar.lists import SIMILAR
from fashion_udf.table import paths, snapshot
from fashion_udf.table.commit import Commit, MadeFrom


def stage(output: Path, lists: dict[str, list[str]], run_id: str, model_version: str = "m1") -> Path:
    """The lists as a run leaves them before it publishes."""
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
    staged = output / "staging" / run_id / "similar"
    staged.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, SIMILAR), staged / "part-0.parquet")
    return staged


def publish(output: Path, lists: dict[str, list[str]], model_version: str = "m1", run_id: str | None = None) -> Commit:
    """Publish lists on top of whatever is current."""
    run_id = run_id or paths.new_run_id()
    staged = stage(output, lists, run_id, model_version)
    commit = commit_staged(output, staged, run_id, len(lists), model_version)
    shutil.rmtree(staged.parent)
    return commit


def commit_staged(output: Path, staged: Path, run_id: str, rows: int, model_version: str = "m1") -> Commit:
    """Publish staged lists, as made from the current tags."""
    tags, parent = snapshot.newest(str(output)), snapshot.current(str(output), paths.SIMILAR)
    made_from = MadeFrom(tags.number, "0" * 64)
    return snapshot.publish(
        str(output), staged, run_id, model_version, expected_rows=rows, parent=parent, made_from=made_from
    )
