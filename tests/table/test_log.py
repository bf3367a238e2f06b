"""The commit log on a store that fails: every append lands, does not land, or says that nobody knows."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable
from typing import Literal

import pytest

from fashion_udf.errors import CommitConflictError, CommitUnknownError, SnapshotError
from fashion_udf.table import log
from fashion_udf.table.commit import Commit
from fashion_udf.table.memory_store import Fault, MemoryStore

KEY = "tags/log/{:08d}.json"


def _commit(number: int, run_id: str = "ours") -> Commit:
    return Commit(number, run_id, number - 1 or None, "2025-01-31T02:31:05Z", run_id, "v1", ())


def _memory(*commits: Commit, faults: dict[int, Fault] | None = None) -> MemoryStore:
    return MemoryStore(faults or {}, {KEY.format(commit.number): commit.to_json() for commit in commits})


def test_commits_are_numbered_in_order() -> None:
    memory = _memory(*(_commit(number) for number in (12, 10, 11)))
    memory.objects |= {"tags/log/.00000013.json.tmp": b"", "tags/log/.00000014.json": b"", "tags/log/README": b""}
    assert log.numbers(memory("")) == [10, 11, 12]


def test_an_appended_commit_is_read_back() -> None:
    store = _memory()("")
    assert log.append(store, _commit(1)) == _commit(1)
    assert log.find(store, 1) == log.read(store, 1) == _commit(1)
    assert log.find(store, 2) is None


def test_a_gap_is_named() -> None:
    with pytest.raises(SnapshotError, match=r"Expected tags/log/00000002\.json before tags/log/00000003\.json\. Rec"):
        log.numbers(_memory(_commit(1), _commit(3))(""))


@pytest.mark.parametrize("name", ["1.json", "000000001.json", "0000000a.json", "00000001 (copy).json", "٠٠٠٠٠٠٠١.json"])
def test_a_name_that_is_no_number_is_refused(name: str) -> None:
    memory = MemoryStore(objects={f"tags/log/{name}": b""})
    with pytest.raises(SnapshotError, match=r"Expected only names such as 00000042\.json in tags/log\. Received: "):
        log.numbers(memory(""))


def test_a_commit_under_another_number_is_refused() -> None:
    memory = MemoryStore(objects={KEY.format(2): _commit(1).to_json()})
    with pytest.raises(SnapshotError, match=r"Expected commit 2 in tags/log/00000002\.json\. Received: commit 1"):
        log.read(memory(""), 2)


def test_a_missing_commit_is_named() -> None:
    with pytest.raises(SnapshotError, match=r"Expected tags/log/00000007\.json\. Received: no such file"):
        log.read(_memory()(""), 7)


def test_a_huge_log_file_is_not_loaded() -> None:
    memory = MemoryStore(objects={KEY.format(1): b" " * 20_000_000})
    with pytest.raises(
        SnapshotError, match="Expected an unaltered commit in .* Received: ValueError: more than 8388608"
    ):
        log.read(memory(""), 1)


@pytest.mark.parametrize("failing", [log.numbers, lambda store: log.find(store, 1)])
def test_an_unreadable_log_is_a_snapshot_error(failing: Callable[..., object]) -> None:
    memory = _memory(_commit(1), faults={1: Fault("before", PermissionError(13, "Permission denied"))})
    with pytest.raises(SnapshotError, match=r"Expected a readable tags/log.* Received: .*Permission denied"):
        failing(memory(""))


def test_the_first_run_wins_and_the_second_is_told_by_whom() -> None:
    memory = _memory(_commit(1, "theirs"))
    with pytest.raises(CommitConflictError, match="publish commit 1 .*Received: commit 1 of run theirs .*Run it again"):
        log.append(memory(""), _commit(1))
    assert log.read(memory(""), 1) == _commit(1, "theirs")


def test_a_lost_answer_is_settled_by_reading_the_log() -> None:
    """The commit landed, the connection died: the run finds its own id and succeeds, once."""
    memory = _memory(faults={1: Fault("after", ConnectionResetError("reset"))})
    assert log.append(memory(""), _commit(1)) == _commit(1)
    assert memory.operations == [f"create {KEY.format(1)}", f"read {KEY.format(1)}"]


def test_an_own_commit_already_there_is_a_success() -> None:
    """A store client that repeats a request by itself sees its own first one as 'exists already'."""
    earlier = dataclasses.replace(_commit(1), time="2025-01-31T02:31:04Z")
    assert log.append(_memory(earlier)(""), _commit(1)) == earlier


def test_a_failure_with_a_foreign_winner_is_a_conflict() -> None:
    memory = _memory(_commit(1, "theirs"), faults={1: Fault("before", TimeoutError("slow"))})
    with pytest.raises(CommitConflictError, match="Received: commit 1 of run theirs"):
        log.append(memory(""), _commit(1))


def test_a_definite_failure_without_a_commit_did_not_land() -> None:
    memory = _memory(faults={1: Fault("before", OSError(28, "No space left on device"))})
    with pytest.raises(
        SnapshotError, match="create tags/log/00000001.json. Received: .*No space.*nothing was published"
    ):
        log.append(memory(""), _commit(1))


@pytest.mark.parametrize("error", [TimeoutError("timed out"), ConnectionResetError("reset")])
def test_a_request_that_may_still_arrive_is_unknown(error: OSError) -> None:
    memory = _memory(faults={1: Fault("before", error)})
    with pytest.raises(
        CommitUnknownError, match=f"commit 1 was made. Received: {error}. Nothing was deleted. Look for run"
    ):
        log.append(memory(""), _commit(1))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_log_that_cannot_be_read_back_is_unknown(when: Literal["before", "after"]) -> None:
    faults = {1: Fault(when, OSError(5, "I/O error")), 2: Fault("before", OSError(5, "I/O error"))}
    memory = _memory(faults=faults)
    with pytest.raises(CommitUnknownError, match="Expected to know whether commit 1 was made. Received: .*I/O error"):
        log.append(memory(""), _commit(1))
    assert (KEY.format(1) in memory.objects) == (when == "after"), "unknown never deletes"


def test_a_damaged_file_in_the_way_is_unknown() -> None:
    memory = MemoryStore(objects={KEY.format(1): b"garbage"})
    with pytest.raises(CommitUnknownError, match="Received: an existing file that cannot be read"):
        log.append(memory(""), _commit(1))
    assert memory.objects == {KEY.format(1): b"garbage"}


def test_every_single_fault_ends_in_a_truthful_outcome() -> None:
    """SQLite's loop: the k-th operation fails, before or after its effect, for every k until none is left."""
    whens: tuple[Literal["before", "after"], ...] = ("before", "after")
    for when in whens:
        for error in (OSError(28, "full"), TimeoutError("slow")):
            for k in range(1, 4):
                memory = _memory(faults={k: Fault(when, error)})
                try:
                    log.append(memory(""), _commit(1))
                    outcome = {True}
                except CommitUnknownError:
                    outcome = {True, False}
                except SnapshotError:
                    outcome = {False}
                assert (KEY.format(1) in memory.objects) in outcome


def test_a_store_that_contradicts_itself_is_unknown() -> None:
    """The name was taken, and then there was nothing under it."""
    store = dataclasses.replace(_memory()(""), create=lambda key, data: False)
    with pytest.raises(CommitUnknownError, match="Received: an existing file that cannot be read"):
        log.append(store, _commit(1))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_fails_in_a_history_of_writers_the_log_is_what_they_were_told(seed: int) -> None:
    draws = random.Random(seed)
    for _ in range(100):  # with 20 seeds 2,000 histories
        errors = (TimeoutError("timed out"), ConnectionResetError("reset"), PermissionError(13, "Permission denied"))
        faults = {
            number: Fault(draws.choice(("before", "after")), draws.choice(errors))
            for number in range(1, 80)
            if draws.random() < 0.25
        }
        memory = MemoryStore(faults)
        store, seen, told = memory(""), dict.fromkeys("abc", 0), dict[str, str]()
        for run in range(12):
            writer, run_id = draws.choice("abc"), f"run-{run}"
            if draws.random() < 0.7:  # it looks before it writes; else it builds on what it saw long ago
                with contextlib.suppress(SnapshotError):
                    seen[writer] = max(log.numbers(store), default=0)
            number = seen[writer] + 1
            try:
                assert log.append(store, _commit(number, run_id)).run_id == run_id
                told[run_id] = "landed"
            except (CommitConflictError, CommitUnknownError, SnapshotError) as error:
                told[run_id] = "unknown" if isinstance(error, CommitUnknownError) else "not"
        memory.faults = {}
        numbers = log.numbers(store)
        assert numbers == [*range(1, len(numbers) + 1)], "each number once, none left out"
        landed = [log.read(store, number).run_id for number in numbers]
        assert len({*landed}) == len(landed)
        assert all(run_id in landed for run_id, outcome in told.items() if outcome == "landed")
        assert not any(told[run_id] == "not" for run_id in landed)
