"""Spark's memory: what a run needs of it is asked for before the night, and a run that died of it says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fashion_udf.errors import EnvironmentUnsupportedError, FashionError, OutOfMemoryError
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

#: Bytes of the heap for everything else.
BESIDES = 300_000_000

#: What says that memory was the cause, of Java, of Python workers and of containers that were killed.
_CAUSES = re.compile(
    r"java\.lang\.OutOfMemoryError[^\n]*|\bMemoryError\b[^\n]*|malloc of size \d+ failed|std::bad_alloc"
    r"|[^\n]*ExecutorLostFailure[^\n]*\b(?:code(?: is)? (?:52|137)|memory limits)\b[^\n]*"
)
#: What says that Spark's Java process has ended, for whatever reason.
_ENDED = re.compile(
    r"Answer from Java side is empty|SparkContext was shut ?down|a stopped SparkContext"
    r"|Error while sending or receiving|Error while receiving|^ConnectionRefusedError|^ConnectionResetError"
)


@contextmanager
def explained(spark: SparkSession) -> Iterator[None]:
    """Turn an error of a body that died of too little memory into one line that names memory and the setting.

    Raises:
        OutOfMemoryError: in place of Spark's error.
    """
    setting = _setting(spark.sparkContext)  # asked now: later there may be no Spark to ask
    try:
        yield
    except FashionError:
        raise
    except Exception as error:
        if cause := reason(error):
            raise OutOfMemoryError(
                f"Expected the run to fit into Spark's memory. Received: {cause}. {setting}"
            ) from error
        raise


def require_heap(spark: SparkSession, row_group_bytes: int, held_bytes: int) -> None:
    """Refuse photos that Spark reads itself if their row groups are too large for the heap.

    Args:
        spark: the session of the run.
        row_group_bytes: of the photos of the largest row group; 0 if nobody knows.
        held_bytes: that Spark holds while it reads them.

    Raises:
        EnvironmentUnsupportedError: with the heap that is needed, and the setting.
    """
    context = spark.sparkContext
    heap, tasks = _heap(context), _tasks(context)
    needed = BESIDES + held_bytes * tasks
    if row_group_bytes and needed > heap:
        most = max(0, heap - BESIDES) * row_group_bytes // (held_bytes * tasks) // 1_000_000
        raise EnvironmentUnsupportedError(
            f"Expected a Java heap of {needed / 1e9:.1f} GB: Spark itself reads the photos of this source, {tasks} row "
            f"groups of up to {row_group_bytes / 1e6:.0f} MB at a time. Received: {heap / 1e9:.1f} GB. "
            f"Set {_key(context)}={-(-needed // 1_000_000_000)}g, write row groups of at most {most} MB, or give the "
            "photos in Parquet files on a file system that the workers see, or as image_uri"
        )


def reason(error: BaseException) -> str | None:
    """Return what an error, or one that it came from, says of memory; None if it says nothing."""
    texts, seen = list[str](), set[int]()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        try:
            texts.append(f"{type(following).__name__}: {following}")
        except Exception as silent:  # Java tells the text of its errors, if there is Java
            texts.append(f"{type(silent).__name__}: {silent}")
        following = following.__cause__ or following.__context__
    for text in texts:
        if found := _CAUSES.search(text):
            return found[0].strip()[:300]
    if any(_ENDED.search(text) for text in texts):
        return "Spark's Java process ended in the middle of the run, as it does when its memory is not enough"
    return None


def _is_local(context: SparkContext) -> bool:
    return session.tasks_share_the_driver(str(context.master))


def _key(context: SparkContext) -> str:
    return "spark.driver.memory" if _is_local(context) else "spark.executor.memory"


def _setting(context: SparkContext) -> str:
    """Return the advice for who has too little memory."""
    key = _key(context)
    present = f"{key} (now {context.getConf().get(key, '1g')})"
    if _is_local(context):
        return f"Raise {present}, before Spark starts: spark-submit --driver-memory 2g"
    return f"Raise {present}, or spark.executor.memoryOverhead, which Python workers live in"


def _heap(context: SparkContext) -> int:
    """Return the bytes of the heap that tasks run in."""
    java = context._jvm
    assert java is not None  # a classic session has one
    if _is_local(context):
        return int(java.java.lang.Runtime.getRuntime().maxMemory())
    return int(context._jsc.sc().conf().getSizeAsBytes("spark.executor.memory", "1g"))


def _tasks(context: SparkContext) -> int:
    """Return how many tasks run in one heap at a time."""
    conf = context.getConf()
    cores = context.defaultParallelism if _is_local(context) else int(conf.get("spark.executor.cores", "1"))
    return max(1, cores // int(conf.get("spark.task.cpus", "1")))
