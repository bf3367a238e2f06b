"""Sums by name that tasks add to and the driver reads, such as the requests of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext


class _Sums:
    """How Spark adds what tasks have: an `AccumulatorParam`, which is not imported where nothing needs Spark."""

    def zero(self, _: dict[str, int]) -> dict[str, int]:
        """Return what a task begins with."""
        return {}

    def addInPlace(self, first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
        """Return the sums of both."""
        return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def sums(context: SparkContext) -> Accumulator[dict[str, int]]:
    """Return sums that are empty; a task adds a dict of numbers to them.

    A task that Spark repeats adds again: what it did was done twice.
    """
    return context.accumulator({}, _Sums())  # type: ignore[arg-type]
