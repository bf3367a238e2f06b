"""Small tables published on local files, for the tests of publishing and of what reads it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf import snapshot
from fashion_udf.commit import Commit

#: Everything publish asks of the operating system that can fail or be cut short.
CALLS = ("listdir", "open", "fsync", "mkdir", "rename", "link", "unlink", "symlink", "replace")


def stage(output: Path, *files: list[str], name: str = "staged") -> Path:
    """A directory of product ids as Spark leaves it: final files in any number, and its own litter."""
    staged = output / "staging" / name
    (staged / "_temporary").mkdir(parents=True)
    for index, ids in enumerate(files):
        pq.write_table(
            pa.table({"product_id": pa.array(ids, pa.string())}), staged / f"part-{index:05d}-x.zstd.parquet"
        )
        (staged / f".part-{index:05d}-x.zstd.parquet.crc").write_bytes(b"crc")
    (staged / "_SUCCESS").touch()
    (staged / "_temporary.parquet").touch()
    return staged


def publish(output: Path, *files: list[str], run_id: str | None = None) -> Commit:
    """Publish product ids on top of whatever is current."""
    run_id = run_id or snapshot.new_run_id()
    return snapshot.publish(
        str(output),
        stage(output, *files, name=run_id),
        run_id=run_id,
        model_version="v1",
        expected_rows=sum(map(len, files)),
        parent=snapshot.current(str(output)),
    )


def head(output: Path) -> Commit:
    """The current commit of a table that has one."""
    commit = snapshot.current(str(output))
    assert commit is not None
    return commit
