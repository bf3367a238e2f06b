"""Sums by name, such as the requests of a run: tasks add to them, and the driver reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext


class _Sums:
    """An `AccumulatorParam` that adds dicts. It does not inherit from Spark's class, so that no import is needed."""

    def zero(self, _: dict[str, int]) -> dict[str, int]:
        """Return the initial value of a task."""
        return {}

    def addInPlace(self, first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
        """Return the sums of both dicts."""
        return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def sums(context: SparkContext) -> Accumulator[dict[str, int]]:
    """Return empty sums, to which a task adds a dict of numbers.

    A repeated task adds again, because its requests were made again.
    """
    return context.accumulator({}, _Sums())  # type: ignore[arg-type]
