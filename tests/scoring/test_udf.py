"""What a Python worker takes from its task, and how its end is told to the driver: an error of ours, or a death."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from pyspark import TaskContext
from pyspark.errors import PySparkException
from pyspark.resource import ResourceInformation

from fashion_udf.errors import EngineError
from fashion_udf.scoring import udf
from fashion_udf.scoring.batches import Batch
from fashion_udf.scoring.scorer import Settings
from fashion_udf.scoring.udf import own_error, photo_threads, sandboxed_if_needed, take_gpu, worker_died


def test_an_error_raised_in_a_worker_comes_back_as_itself() -> None:
    wrapped = RuntimeError(
        "Job aborted: Traceback (most recent call last):\n"
        "fashion_udf.errors.EngineError: Expected openvino f32 to reproduce the golden rows. Received: host b\n\tat x"
    )
    error = own_error(wrapped)
    assert isinstance(error, EngineError)
    assert str(error) == "Expected openvino f32 to reproduce the golden rows. Received: host b"


def test_any_other_exception_is_not_ours() -> None:
    assert own_error(ValueError("fashion_udf/errors.py was read")) is None


@pytest.mark.parametrize(
    ("text", "died"),
    [
        ("org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)", True),
        ("Python worker failed to start", True),
        (
            "Lost task 0.3 in stage 1.0 (TID 7) (host executor 2): ExecutorLostFailure (executor 2 exited caused by "
            "one of the running tasks) Reason: Container killed on request. Exit code is 137",
            True,
        ),
        ("ValueError: a bug of ours", False),
    ],
)
def test_a_dead_worker_is_told_from_an_exception(text: str, died: bool) -> None:
    assert worker_died(RuntimeError(text)) is died


def _attempts(*errors: str | None) -> tuple[list[bool], Callable[[bool], str]]:
    """What was tried, and a function that fails with each of these errors in turn, or succeeds where it is None."""
    tried: list[bool] = []

    def score(sandboxed: bool) -> str:
        tried.append(sandboxed)
        if error := errors[len(tried) - 1]:
            raise PySparkException(error)
        return "scores"

    return tried, score


DIED = "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"


def test_rows_whose_worker_died_are_scored_once_more_in_the_sandbox(caplog: pytest.LogCaptureFixture) -> None:
    tried, score = _attempts(None)
    assert (sandboxed_if_needed(score), tried, caplog.messages) == ("scores", [False], [])
    tried, score = _attempts(DIED, None)
    assert (sandboxed_if_needed(score), tried) == ("scores", [False, True])
    assert "a Python worker died; its rows are scored again, with each photo decoded in a child process" in caplog.text


def test_what_no_sandbox_helps_against_is_raised() -> None:
    for errors, attempts in ((("a bug of ours",), [False]), ((DIED, DIED), [False, True])):
        tried, score = _attempts(*errors)
        with pytest.raises(Exception, match=re.escape(errors[-1])):
            sandboxed_if_needed(score)
        assert tried == attempts
    tried, score = _attempts("fashion_udf.errors.EngineError: Expected openvino f32. Received: host b")
    with pytest.raises(EngineError, match=r"^Expected openvino f32\. Received: host b$"):
        sandboxed_if_needed(score)


SETTINGS = Settings("openvino", "f32", 16, 5, "uri", (), 1, 1, fetch_threads=6)


@pytest.mark.parametrize(
    ("photo", "sandboxed", "on_gpu", "threads"),
    [
        ("uri", False, False, 6),
        ("bytes", False, False, 0),
        ("bytes", False, True, 6),
        ("none", False, False, 0),
        ("uri", True, False, 0),
        ("bytes", True, True, 0),
    ],
)
def test_photos_are_fetched_ahead_where_the_engine_leaves_time(
    photo: Any, sandboxed: bool, on_gpu: bool, threads: int
) -> None:
    assert photo_threads(replace(SETTINGS, photo=photo), sandboxed, on_gpu) == threads


@pytest.mark.parametrize(
    ("resources", "visible"),
    [({"gpu": ["3", "1"]}, "3"), ({"gpu": ["GPU-6f1c"]}, "GPU-6f1c"), ({"fpga": ["0"]}, "-1"), ({}, "-1")],
)
def test_an_engine_sees_the_gpu_of_its_task_alone(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, list[str]], visible: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    given = {name: ResourceInformation(name, addresses) for name, addresses in resources.items()}
    assert take_gpu(given) is ("gpu" in resources)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_an_engine_has_a_thread_for_each_core_of_its_task_and_is_kept_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[Any] = []
    context = SimpleNamespace(cpus=lambda: 3, resources=dict)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(TaskContext, "get", lambda: context)
    monkeypatch.setattr(udf, "_scorers", {})
    monkeypatch.setattr(udf.registry, "create", lambda *arguments, threads: built.append((*arguments, threads)))
    monkeypatch.setattr(udf, "Scorer", lambda *arguments: arguments)
    model: Any = SimpleNamespace(model_version="v1")
    first = udf._scorer(model, SETTINGS, False, 600.0)
    assert built == [("openvino", model, "f32", 3)]
    assert first[-2:] == (6, 3)  # type: ignore[index]  # threads that fetch, and cores that decode
    assert udf._scorer(model, SETTINGS, False, 600.0) is first and len(built) == 1
    context.cpus = lambda: 1  # stage-level scheduling
    assert udf._scorer(model, SETTINGS, False, 600.0) is not first


def test_a_worker_keeps_the_two_engines_it_used_last_and_ends_the_sandbox_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[float] = []
    monkeypatch.setattr(TaskContext, "get", lambda: SimpleNamespace(cpus=lambda: 1, resources=dict))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(udf, "_scorers", {})
    monkeypatch.setattr(udf.registry, "create", lambda *_, **__: object())
    monkeypatch.setattr(udf, "Scorer", lambda *arguments: arguments)
    monkeypatch.setattr(udf.SandboxedDecoder, "close", lambda self: closed.append(self._timeout))

    def scorer(version: str, sandboxed: bool = True) -> Any:
        model: Any = SimpleNamespace(model_version=version)
        return udf._scorer(model, SETTINGS, sandboxed, {"a": 30.0, "b": 20.0, "c": 100.0}[version])

    first, second = scorer("a"), scorer("b")
    assert scorer("a") is first
    third = scorer("c")
    assert closed == [10.0], "that of b, which was used before the others; half of its time for a batch"
    assert scorer("a") is first and scorer("c") is third and scorer("b") is not second
    assert closed == [10.0, 15.0] and len(udf._scorers) == 2


def test_the_engine_is_watched_and_waiting_for_spark_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, seen = [False], list[tuple[str, bool]]()

    class Scorer:
        def scores(self, batches: Iterable[Batch]) -> Iterator[pd.DataFrame]:
            for batch in batches:
                seen.append(("engine", watched[0]))
                yield pd.DataFrame({"title": batch.titles})

    def batches() -> Iterator[tuple[pd.Series, ...]]:
        for title in ("a", "b"):
            seen.append(("spark", watched[0]))
            yield (pd.Series([title]),) * 3
        seen.append(("spark", watched[0]))

    monkeypatch.setattr(udf, "_scorer", lambda *_: Scorer())
    monkeypatch.setattr(udf.faulthandler, "dump_traceback_later", lambda *_, **__: watched.__setitem__(0, True))
    monkeypatch.setattr(udf.faulthandler, "cancel_dump_traceback_later", lambda: watched.__setitem__(0, False))
    for _ in udf._scored(batches(), None, None, False, 60.0):  # type: ignore[arg-type]
        seen.append(("written", watched[0]))
    of_a_batch = [("spark", False), ("engine", True), ("written", False)]
    assert seen == [*of_a_batch, *of_a_batch, ("spark", False)]
    assert not watched[0]
