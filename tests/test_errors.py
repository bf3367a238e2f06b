"""Errors in one line, whatever library they come from, and what caused them."""

from __future__ import annotations

import pytest

from fashion_udf import errors
from fashion_udf.errors import ConfigError, Stopped

OF_JAVA = """org.apache.spark.SparkException: Job aborted due to stage failure
\tat org.apache.spark.scheduler.DAGScheduler.failJob(DAGScheduler.scala:7)
Caused by: java.lang.OutOfMemoryError: Java heap space
\t... 12 more"""
OF_A_WORKER = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "x.py", line 1, in f
ValueError: seven
"""


class _OfJava(Exception):
    """Stands in for py4j's: what Java says of itself, or an error where Java is gone."""

    def __init__(self, java_exception: object) -> None:
        super().__init__("An error occurred while calling o1.parquet.")
        self.java_exception = java_exception


class _Gone:
    def __str__(self) -> str:
        raise ConnectionRefusedError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("Expected a. Received: b"), "Expected a. Received: b"),
        (Stopped("SIGTERM"), "stopped by SIGTERM; what is done is kept: run again"),
        (ValueError(""), "ValueError:"),
        (
            _OfJava(OF_JAVA),
            "_OfJava: org.apache.spark.SparkException: Job aborted due to stage failure | "
            "Caused by: java.lang.OutOfMemoryError: Java heap space",
        ),
        (_OfJava(_Gone()), "_OfJava: ('An error occurred while calling o1.parquet.',)"),
        (
            RuntimeError(OF_A_WORKER),
            "RuntimeError: An exception was thrown from the Python worker: | ValueError: seven",
        ),
    ],
)
def test_an_error_is_told_in_one_line_without_its_stack(error: BaseException, line: str) -> None:
    assert errors.one_line(error) == line


def test_causes_are_those_of_a_traceback_and_end_where_they_repeat() -> None:
    first, second, hidden = ValueError("first"), OSError("second"), KeyError("hidden")
    second.__context__ = first
    assert [*errors.causes(second)] == [second, first]
    second.__cause__, first.__cause__ = hidden, second
    assert [*errors.causes(second)] == [second, hidden]
    hidden.__cause__ = second
    assert [*errors.causes(second)] == [second, hidden], "a circle"
    assert [*errors.causes(_raised_from_none())] == [_RAISED[0]]


_RAISED: list[BaseException] = []


def _raised_from_none() -> BaseException:
    try:
        try:
            raise ValueError
        except ValueError:
            raise ConfigError("no") from None
    except ConfigError as error:
        _RAISED.append(error)
        return error
