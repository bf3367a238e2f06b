"""Memory: what cannot fit is refused with the setting that helps, and an error that memory caused names memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fashion_udf.errors import CatalogError, EnvironmentUnsupportedError, OutOfMemoryError
from fashion_udf.spark import memory


class _Conf(dict[str, str]):
    def getSizeAsBytes(self, key: str, default: str) -> int:
        return int(self.get(key, default).removesuffix("g")) * 10**9


def _spark(master: str, heap: int = 10**9, cores: int = 2, **settings: str) -> Any:
    """A session of these settings, with dots for underscores."""
    conf = _Conf({name.replace("_", "."): value for name, value in settings.items()})
    runtime = SimpleNamespace(getRuntime=lambda: SimpleNamespace(maxMemory=lambda: heap))
    context = SimpleNamespace(
        master=master,
        defaultParallelism=cores,
        getConf=lambda: conf,
        _jvm=SimpleNamespace(java=SimpleNamespace(lang=SimpleNamespace(Runtime=runtime))),
        _jsc=SimpleNamespace(sc=lambda: SimpleNamespace(conf=lambda: conf)),
    )
    return SimpleNamespace(sparkContext=context)


LOST = "Lost task 0.3 in stage 1.0 (TID 7) (host executor 2): ExecutorLostFailure (executor 2 exited caused by one of"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Job aborted: java.lang.OutOfMemoryError: Java heap space\n\tat x", "OutOfMemoryError: Java heap space. "),
        (
            "Traceback:\n  File x\nMemoryError: Unable to allocate 1. GiB\n\n",
            "MemoryError: Unable to allocate 1. GiB. ",
        ),
        ("pyarrow.lib.ArrowMemoryError: malloc of size 268435456 failed", "malloc of size 268435456 failed. "),
        (f"{LOST} the running tasks) Reason: Command exited with code 137", "ExecutorLostFailure .* code 137"),
        (f"{LOST} the running tasks) Reason: Container killed for exceeding memory limits.", "exceeding memory limits"),
        (
            "SparkException: Python worker exited unexpectedly (crashed)\n\tat org.apache.spark.api.python",
            "a Python worker died without an exception, most often because of too little memory, or of a batch that "
            "took longer than limits.batch_timeout. ",
        ),
        ("Job 3 cancelled because SparkContext was shut down", "Java process ended during the run"),
    ],
)
def test_a_run_that_died_of_memory_says_so_and_which_setting_helps(text: str, named: str) -> None:
    advice = r"Raise spark\.driver\.memory \(now 1g\), before Spark starts: spark-submit --driver-memory 2g$"
    if named.startswith(("MemoryError", "malloc", "a Python worker")):
        advice = r"Free memory of this machine, or run fewer tasks at a time: spark-submit --master 'local\[1\]'$"
    with pytest.raises(
        OutOfMemoryError, match=f"^Expected the run to fit into Spark's memory. Received: .*{named}"
    ) as it:
        with memory.explained(_spark("local[2]")):
            try:
                raise ValueError(text)
            except ValueError:
                raise RuntimeError("of what the first one left behind") from None
    it.match(advice)
    assert "\n" not in str(it.value)


def test_on_a_cluster_the_memory_is_that_of_the_executors() -> None:
    with pytest.raises(
        OutOfMemoryError, match=r"Raise spark\.executor\.memory \(now 4g\), or spark\.executor\.memoryOv"
    ):
        with memory.explained(_spark("yarn", spark_executor_memory="4g")):
            raise ValueError("java.lang.OutOfMemoryError: Java heap space")


def test_the_memory_of_python_workers_is_not_that_of_the_heap() -> None:
    for settings, advice in (
        ({"spark_executor_pyspark_memory": "300m"}, r"Raise spark\.executor\.pyspark\.memory \(now 300m\), before Sp"),
        ({}, r"Raise spark\.executor\.memoryOverhead, which Python workers use, or lower spark\.executor\.cores$"),
    ):
        with pytest.raises(OutOfMemoryError, match=advice), memory.explained(_spark("yarn", **settings)):
            raise ValueError("Traceback:\n  File x\nMemoryError: Unable to allocate 1. GiB\n")


def test_an_error_whose_text_went_with_java_is_told_too() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(OutOfMemoryError, match="Java process ended"), memory.explained(_spark("local")):
        raise Silent


@pytest.mark.parametrize("error", [ValueError("a bug"), CatalogError("MemoryError"), OSError("Connection refused")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, memory.explained(_spark("local[2]")):
        raise error
    assert raised.value is error


def test_row_groups_that_do_not_fit_into_the_heap_are_refused_with_the_heap_that_they_need() -> None:
    local = _spark("local[2]")
    memory.require_heap(local, 0, 0)
    memory.require_heap(local, 70_000_000, 350_000_000)
    message = (
        r"^Expected a Java heap of 2\.9 GB: Spark itself reads the photos of this source, 2 row groups of up to 256 MB "
        r"at a time\. Received: 1\.0 GB\. Set spark\.driver\.memory=3g, write row groups of at most 70 MB, or store "
    )
    with pytest.raises(EnvironmentUnsupportedError, match=message):
        memory.require_heap(local, 256_000_000, 5 * 256_000_000)
    memory.require_heap(_spark("local[2]", 3 * 10**9), 256_000_000, 5 * 256_000_000)
    cluster = {"spark_executor_memory": "2g", "spark_executor_cores": "4", "spark_task_cpus": "2"}
    with pytest.raises(EnvironmentUnsupportedError, match=r"Received: 2\.0 GB\. Set spark\.executor\.memory=3g"):
        memory.require_heap(_spark("yarn", **cluster), 256_000_000, 5 * 256_000_000)
