"""A full disk of Spark's or of the output is told from others, and the line names its directory and the setting."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fashion_udf import files
from fashion_udf.errors import CatalogError, DiskFullError
from fashion_udf.spark import full_disk
from fashion_udf.table.local_store import open_local

SHUFFLE = """Job aborted due to stage failure: Task 0 in stage 9.0 failed 4 times, most recent failure: Lost task 0.3 in
stage 9.0 (TID 27) (10.0.0.7 executor 2): java.io.IOException: No space left on device
\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)
\tat org.apache.spark.storage.TimeTrackingOutputStream.write(TimeTrackingOutputStream.java:59)
\tat org.apache.spark.executor.Executor$TaskRunner.run(Executor.scala:906)
"""
OUTPUT = """Task failed while writing rows to file:/data/out: java.io.IOException: No space left on device
\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)
\tat org.apache.hadoop.fs.RawLocalFileSystem$LocalFSFileOutputStream.write(RawLocalFileSystem.java:299)
\tat org.apache.parquet.hadoop.ParquetFileWriter.end(ParquetFileWriter.java:1)
\tat org.apache.spark.executor.Executor$TaskRunner.run(Executor.scala:906)
"""


def _spark(master: str, **settings: str) -> Any:
    """A session of these settings, with dots for underscores."""
    conf = {name.replace("_", "."): value for name, value in settings.items()}
    return SimpleNamespace(sparkContext=SimpleNamespace(master=master, getConf=lambda: conf))


@pytest.mark.parametrize(
    ("master", "settings", "variable", "where", "remedy"),
    [
        ("local[2]", {"spark_local_dir": "/scratch"}, None, "/scratch (spark.local.dir)", "set spark.local.dir to a"),
        (
            "local[2]",
            {},
            None,
            "/tmp (spark.local.dir)",
            "or set spark.local.dir to a larger disk, before Spark starts",
        ),
        ("local[2]", {"spark_local_dir": "/scratch"}, "/a,/b", "/a,/b (SPARK_LOCAL_DIRS)", "set SPARK_LOCAL_DIRS to a"),
        ("spark://m:7077", {}, None, "spark.local.dir of the executors", "set spark.local.dir to a larger disk"),
        ("yarn", {}, None, "the local directories of YARN", "Free space in yarn.nodemanager.local-dirs, or add a disk"),
    ],
)
def test_the_line_names_directory_host_and_setting(
    master: str, settings: Any, variable: str | None, where: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARK_LOCAL_DIRS", raising=False)
    if variable:
        monkeypatch.setenv("SPARK_LOCAL_DIRS", variable)
    line = re.escape(f"Expected space for Spark's temporary files in {where}. Received: No space left on device, on ")
    with pytest.raises(
        DiskFullError, match=f"^{line}10.0.0.7 executor 2. .*{re.escape(remedy)}.* uses what is scored$"
    ):
        with full_disk.explained(_spark(master, **settings), "/data/out"):
            raise RuntimeError("the chunk failed") from ValueError(SHUFFLE)


def test_a_disk_that_pyspark_fills_on_the_driver_is_named_too() -> None:
    from pyspark.core.broadcast import Broadcast

    class Full:
        def __reduce__(self) -> Any:
            raise OSError(28, os.strerror(28))

    with tempfile.TemporaryFile() as file, pytest.raises(DiskFullError, match="No space left on device, on the driver"):
        with full_disk.explained(_spark("local[2]"), "/data/out"):
            Broadcast.dump(SimpleNamespace(), Full(), file)  # type: ignore[arg-type]


FULL_OUTPUT = (
    r"^Expected space for the table in /data/out \(output\.path\)\. Received: No space left on device{}\. Free space "
    r"there\. The published table is whole, and the next run uses what is scored$"
)


def test_a_task_that_finds_the_disk_of_the_output_full_is_told_with_its_directory() -> None:
    with pytest.raises(DiskFullError, match=FULL_OUTPUT.format("")), full_disk.explained(_spark("yarn"), "/data/out"):
        raise ValueError(OUTPUT)


def test_a_commit_that_finds_the_disk_of_the_output_full_is_told_with_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files, "write_synced", full)
    with pytest.raises(DiskFullError, match=FULL_OUTPUT.format(", on the driver")):
        with full_disk.explained(_spark("local[2]"), "/data/out"):
            open_local(tmp_path).create("tags/log/1.json", b"{}")


@pytest.mark.parametrize(
    "error",
    [
        CatalogError(SHUFFLE),
        ValueError("No space left on device"),
        ValueError(OUTPUT.replace("hadoop.fs.RawLocalFileSystem$LocalFSFileOutputStream", "hadoop.fs.s3a.DiskBlock")),
        OSError(28, os.strerror(28), "/elsewhere"),
    ],
)
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, full_disk.explained(_spark("local[2]"), "/data/out"):
        raise error
    assert raised.value is error
