"""Explain the error of a run that found a disk full: the disk of Spark's temporary files, or the one of the output."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from fashion_udf import errors
from fashion_udf.errors import DiskFullError, FashionError
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

#: Whose disk it is: that of Spark's temporary files, or of `output.path`.
Disk = Literal["temporary", "output"]

#: Java's message, and the stack frames below it.
_FULL = re.compile(r"(No space left on device|Disk quota exceeded)((?:\s+at [^\n]+)*)")
#: Frames of the parts of Spark that write temporary files, and of the local file system, to which tables are written.
#: A task that writes a table has no frame of the former.
_FRAMES: dict[Disk, re.Pattern[str]] = {
    "temporary": re.compile(r"\bat org\.apache\.spark\.(?:storage|shuffle|broadcast|util\.collection|api\.python)\."),
    "output": re.compile(r"\bat org\.apache\.hadoop\.fs\.RawLocalFileSystem"),
}
#: Python code that writes such files on the driver. pyspark writes broadcast values and local rows.
_CODE: dict[Disk, str] = {
    "temporary": f"{os.sep}pyspark{os.sep}",
    "output": os.path.join("fashion_udf", "table", "local_store.py"),
}
_EXECUTOR = re.compile(r"\(TID \d+\) \((\S+ executor \w+)\)")


@contextmanager
def explained(spark: SparkSession, output: str) -> Iterator[None]:
    """Replace an error of the block that a full disk caused by one line that names the directory.

    Args:
        spark: the session of the run.
        output: root of the output.

    Raises:
        DiskFullError: instead of Spark's error, or of Python's on the driver.
    """
    place, remedy = _temporary(spark.sparkContext)  # read now, because Spark may have ended later
    lines: dict[Disk, tuple[str, str]] = {
        "temporary": (f"Spark's temporary files in {place}", remedy),
        "output": (f"the table in {output} (output.path)", "Free space there"),
    }
    try:
        yield
    except FashionError:
        raise
    except Exception as error:
        if not (found := reason(error)):
            raise
        disk, received = found
        expected, remedy = lines[disk]
        raise DiskFullError(
            f"Expected space for {expected}. Received: {received}. {remedy}. The published table is whole, and the "
            "next run uses what is scored"
        ) from error


def reason(error: BaseException) -> tuple[Disk, str] | None:
    """Return which disk was full by an error or its causes, and what they tell of it; None if there was none."""
    for cause in errors.causes(error):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):  # without a JVM
            frames = traceback.extract_tb(cause.__traceback__)
            for disk, code in _CODE.items():
                if any(code in frame.filename for frame in frames):
                    return disk, f"{os.strerror(cause.errno)}, on the driver"
        try:
            text = str(cause)
        except Exception:  # the text of a Java error needs a running JVM
            continue
        for full in _FULL.finditer(text):
            for disk, frame in _FRAMES.items():
                if frame.search(full[2]):
                    place = _EXECUTOR.search(text)
                    return disk, full[1] + (f", on {place[1]}" if place else "")
    return None


def _temporary(context: SparkContext) -> tuple[str, str]:
    """Return where Spark's temporary files are, and what to do when there is no space."""
    variable, key = "SPARK_LOCAL_DIRS", "spark.local.dir"
    before = "before Spark starts"
    if str(context.master) == "yarn":
        return "the local directories of YARN", "Free space in yarn.nodemanager.local-dirs, or add a disk there"
    if not session.tasks_share_the_driver(str(context.master)):
        return f"{key} of the executors", f"Free space there, or set {key} to a larger disk, {before}"
    setting = variable if variable in os.environ else key
    directory = os.environ.get(variable) or context.getConf().get(key, "/tmp")
    return f"{directory} ({setting})", f"Free space there, or set {setting} to a larger disk, {before}"
