"""Spark's temporary files: explain the error of a run whose disk for them was full."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fashion_udf import errors
from fashion_udf.errors import DiskFullError, FashionError
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

#: Java's message, and the stack frames below it.
_FULL = re.compile(r"(No space left on device|Disk quota exceeded)((?:\s+at [^\n]+)*)")
#: Frames of the parts of Spark that write temporary files. A task that writes a table has none of them.
_TEMPORARY = re.compile(r"\bat org\.apache\.spark\.(?:storage|shuffle|broadcast|util\.collection|api\.python)\.")
_EXECUTOR = re.compile(r"\(TID \d+\) \((\S+ executor \w+)\)")


@contextmanager
def explained(spark: SparkSession) -> Iterator[None]:
    """Replace an error of the block that a full disk of Spark's caused by one line that names the directory.

    Raises:
        DiskFullError: instead of Spark's error, or of pyspark's on the driver.
    """
    expected, remedy = _words(spark.sparkContext)  # read now, because Spark may have ended later
    try:
        yield
    except FashionError:
        raise
    except Exception as error:
        if received := reason(error):
            raise DiskFullError(
                f"Expected space for Spark's temporary files in {expected}. Received: {received}. {remedy}. Nothing "
                "was published, and the next run uses what is scored"
            ) from error
        raise


def reason(error: BaseException) -> str | None:
    """Return what an error or its causes tell of a full disk of Spark's; None if there was none."""
    for cause in errors.causes(error):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            frames = traceback.extract_tb(cause.__traceback__)
            # Without a JVM: pyspark writes broadcast values and local rows to temporary files.
            if any(f"{os.sep}pyspark{os.sep}" in frame.filename for frame in frames):
                return f"{os.strerror(cause.errno)}, on the driver"
        try:
            text = str(cause)
        except Exception:  # the text of a Java error needs a running JVM
            continue
        for full in _FULL.finditer(text):
            if _TEMPORARY.search(full[2]):
                place = _EXECUTOR.search(text)
                return full[1] + (f", on {place[1]}" if place else "")
    return None


def _words(context: SparkContext) -> tuple[str, str]:
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
