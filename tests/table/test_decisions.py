"""People's decisions on the store: create-only, the newest counts, and joining files loses none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.errors import SnapshotError
from fashion_udf.table import decisions
from fashion_udf.table.decisions import Decided, Decisions
from fashion_udf.table.memory_store import Fault, MemoryStore

START = datetime(2026, 11, 27, 8, tzinfo=UTC)


def _decided(product_id: str, category: str | None, second: int, by: str = "ann") -> Decided:
    return Decided(product_id=product_id, category=category, by=by, at=START + timedelta(seconds=second))


def _store() -> MemoryStore:
    return MemoryStore()


def test_the_newest_decision_of_a_product_counts_whatever_the_order_of_the_files() -> None:
    memory = _store()
    found = Decisions(memory(""))
    found.add([_decided("a", "Hats", 2), _decided("b", "Hats", 1)])
    found.add([_decided("a", "Shoes", 1)])
    assert decisions.categories(Decisions(memory("")).read()) == {"a": "Hats", "b": "Hats"}


def test_a_withdrawn_decision_is_none() -> None:
    memory = _store()
    Decisions(memory("")).add([_decided("a", "Hats", 1), _decided("a", None, 2)])
    assert decisions.categories(Decisions(memory("")).read()) == {}


def test_two_people_never_write_over_each_other() -> None:
    memory = _store()
    ann, bob = Decisions(memory("")), Decisions(memory(""))
    names = [person.add([_decided("a", "Hats", second)]) for second, person in enumerate([ann, bob, ann, bob])]
    assert len({*names}) == 4 and {*memory.objects} == {f"overrides/{name}" for name in names}
    assert not any(operation.startswith("replace") for operation in memory.operations)
    assert len(ann.read()) == len(bob.read()) == 4


def test_joining_files_keeps_every_decision_in_one_file() -> None:
    memory = _store()
    found = Decisions(memory(""))
    for second in range(5):
        found.add([_decided(f"p{second}", "Hats", second)])
    before = found.read()
    assert found.compact() == 5
    (name,) = memory.objects
    assert name.startswith("overrides/part-")
    assert Decisions(memory("")).read() == found.read() == before
    assert found.compact() == 0 and [*memory.objects] == [name]


@given(st.integers(0, 30), st.sampled_from(["before", "after"]))
def test_a_store_that_fails_at_any_step_of_joining_loses_no_decision(step: int, when: str) -> None:
    memory = _store()
    for second in range(4):
        Decisions(memory("")).add([_decided(f"p{second}", "Hats", second)])
    before = Decisions(memory("")).read()
    memory.faults = {len(memory.operations) + step: Fault(when, TimeoutError("cut"))}  # type: ignore[arg-type]
    try:
        Decisions(memory("")).compact()
    except (OSError, SnapshotError):
        pass
    memory.faults = {}
    assert Decisions(memory("")).read() == before


def test_a_reader_of_files_that_are_joined_meanwhile_reads_again() -> None:
    memory = _store()
    for second in range(3):
        Decisions(memory("")).add([_decided(f"p{second}", "Hats", second)])
    reader, read = Decisions(memory("")), memory.read
    joined: list[int] = []

    def read_late(key: str, limit: int) -> bytes:
        if not joined:
            joined.append(0)
            Decisions(MemoryStore(objects=memory.objects)("")).compact()
        return read(key, limit)

    memory.read = read_late  # type: ignore[method-assign]
    reader = Decisions(memory(""))
    assert len(reader.read()) == 3


def test_a_damaged_file_is_named() -> None:
    memory = _store()
    memory.objects["overrides/x.json"] = b"{"
    with pytest.raises(SnapshotError, match=r"Expected decisions of people in overrides/x\.json\. Received: Valid"):
        Decisions(memory("")).read()
