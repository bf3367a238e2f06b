"""How long the longest tests go on: a few rounds in `make test`; in `make soak`, as many as begin within a time.

    SOAK_SECONDS    of one shard, shared by its tests; without it: `make test`
    SOAK_SEED       what the rounds draw from: another seed, other kills

A soak runs the tests with the mark `soak` alone, and ends with totals: what was done how often, rows checked, and rows
that were lost, doubled or wrong.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

SECONDS = float(os.environ.get("SOAK_SECONDS") or 0)
SEED = int(os.environ.get("SOAK_SEED") or 0)
SOAK = SECONDS > 0

#: What was counted, by its name in the plural.
TOTALS: Counter[str] = Counter({"rows checked": 0, "rows lost": 0, "rows doubled": 0, "rows wrong": 0} if SOAK else {})
#: Tests that share the seconds; tests/conftest.py counts them.
sharing = 1


def rounds(name: str, few: int) -> Iterator[tuple[int, random.Random]]:
    """Yield the number of each round, and what it draws from; counts the rounds.

    Args:
        name: of a round, in the plural.
        few: rounds of the short form, and the fewest of a soak.
    """
    began, number = time.monotonic(), 0
    while number < few or time.monotonic() - began < SECONDS / sharing:
        yield number, random.Random(f"{SEED} {name} {number}")
        number += 1
        TOTALS[name] += 1


def require_rows(found: Mapping[str, Any], expected: Mapping[str, Any], told: object = "") -> None:
    """Count the rows of a table, and fail if it does not hold what it must.

    Args:
        found: the rows by product id.
        expected: as `found`.
        told: of the message.
    """
    TOTALS["rows checked"] += len(expected)
    TOTALS["rows lost"] += len(expected.keys() - found.keys())
    TOTALS["rows wrong"] += sum(found[name] != row for name, row in expected.items() if name in found)
    TOTALS["rows wrong"] += len(found.keys() - expected.keys())
    assert found == expected, told
