"""Spark's memory: check before a run that it is enough, and explain errors of a run that ran out of it."""

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

#: Bytes of the heap for everything except photos.
BESIDES = 300_000_000

#: Texts of errors that are caused by memory: of Java, of Python workers, and of killed containers.
_CAUSES = re.compile(
    r"java\.lang\.OutOfMemoryError[^\n]*|\bMemoryError\b[^\n]*|malloc of size \d+ failed|std::bad_alloc"
    r"|[^\n]*ExecutorLostFailure[^\n]*\b(?:code(?: is)? (?:52|137)|memory limits)\b[^\n]*"
)
#: Texts of errors after the end of Spark's Java process, for any reason.
_ENDED = re.compile(
    r"Answer from Java side is empty|SparkContext was shut ?down|a stopped SparkContext"
    r"|Error while sending or receiving|Error while receiving|^ConnectionRefusedError|^ConnectionResetError"
)


#: Causes in Python workers, which use no memory of the heap.
_OF_PYTHON = re.compile(r"^(?:[\w.]*\bMemoryError|malloc|std::bad_alloc|a Python worker)")
#: Text of the error after the second death of a Python worker: after the first one, `udf` scores the rows once more.
_DIED = "Python worker exited unexpectedly"


@contextmanager
def explained(spark: SparkSession) -> Iterator[None]:
    """Replace an error of the block that is caused by memory by one line that names the setting.

    Raises:
        OutOfMemoryError: instead of Spark's error.
    """
    context = spark.sparkContext
    of_java, of_python = _setting(context), _setting_of_python(context)  # read now, because Spark may have ended later
    try:
        yield
    except FashionError:
        raise
    except Exception as error:
        if cause := reason(error):
            setting = of_python if _OF_PYTHON.search(cause) else of_java
            raise OutOfMemoryError(
                f"Expected the run to fit into Spark's memory. Received: {cause}. {setting}"
            ) from error
        raise


def require_heap(spark: SparkSession, row_group_bytes: int, held_bytes: int) -> None:
    """Refuse photos that Spark reads itself if their row groups are too large for the heap.

    Args:
        spark: the session of the run.
        row_group_bytes: bytes of the photos in the largest row group; 0 if unknown.
        held_bytes: bytes in memory while Spark reads these photos.

    Raises:
        EnvironmentUnsupportedError: the heap is too small. The message has the needed heap and the setting.
    """
    context = spark.sparkContext
    heap, tasks = _heap(context), _tasks(context)
    needed = BESIDES + held_bytes * tasks
    if row_group_bytes and needed > heap:
        most = max(0, heap - BESIDES) * row_group_bytes // (held_bytes * tasks) // 1_000_000
        raise EnvironmentUnsupportedError(
            f"Expected a Java heap of {needed / 1e9:.1f} GB: Spark itself reads the photos of this source, {tasks} row "
            f"groups of up to {row_group_bytes / 1e6:.0f} MB at a time. Received: {heap / 1e9:.1f} GB. "
            f"Set {_key(context)}={-(-needed // 1_000_000_000)}g, write row groups of at most {most} MB, or store the "
            "photos in Parquet files on a file system that the workers can open, or as image_uri"
        )


def reason(error: BaseException) -> str | None:
    """Return the text about memory in an error or its causes; None if there is none."""
    texts, seen = list[str](), set[int]()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        try:
            texts.append(f"{type(following).__name__}: {following}")
        except Exception as silent:  # the text of a Java error needs a running JVM
            texts.append(f"{type(silent).__name__}: {silent}")
        following = following.__cause__ or following.__context__
    for text in texts:
        if found := _CAUSES.search(text):
            return found[0].strip()[:300]
    if any(_DIED in text for text in texts):
        return (
            "a Python worker died without an exception, most often because of too little memory, or of a batch that "
            "took longer than limits.batch_timeout"
        )
    if any(_ENDED.search(text) for text in texts):
        return "Spark's Java process ended during the run, most often because of too little memory"
    return None


def _is_local(context: SparkContext) -> bool:
    return session.tasks_share_the_driver(str(context.master))


def _key(context: SparkContext) -> str:
    return "spark.driver.memory" if _is_local(context) else "spark.executor.memory"


def _setting(context: SparkContext) -> str:
    """Return the advice about the memory setting."""
    key = _key(context)
    present = f"{key} (now {context.getConf().get(key, '1g')})"
    if _is_local(context):
        return f"Raise {present}, before Spark starts: spark-submit --driver-memory 2g"
    return f"Raise {present}, or spark.executor.memoryOverhead, which Python workers use"


def _setting_of_python(context: SparkContext) -> str:
    """Return the advice about the memory of Python workers."""
    if limit := context.getConf().get("spark.executor.pyspark.memory", ""):
        return f"Raise spark.executor.pyspark.memory (now {limit}), before Spark starts"
    if _is_local(context):
        return "Free memory of this machine, or run fewer tasks at a time: spark-submit --master 'local[1]'"
    return "Raise spark.executor.memoryOverhead, which Python workers use, or lower spark.executor.cores"


def _heap(context: SparkContext) -> int:
    """Return the bytes of the heap of the tasks."""
    java = context._jvm
    assert java is not None  # a classic session has a JVM
    if _is_local(context):
        return int(java.java.lang.Runtime.getRuntime().maxMemory())
    return int(context._jsc.sc().conf().getSizeAsBytes("spark.executor.memory", "1g"))


def _tasks(context: SparkContext) -> int:
    """Return the number of tasks that share a heap."""
    conf = context.getConf()
    cores = context.defaultParallelism if _is_local(context) else int(conf.get("spark.executor.cores", "1"))
    return max(1, cores // int(conf.get("spark.task.cpus", "1")))
