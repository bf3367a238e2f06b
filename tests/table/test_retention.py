"""Expire: what goes, what stays, and what is refused."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pytest

from fashion_udf.errors import InputError, SnapshotError
from fashion_udf.table import paths, pins, retention, snapshot, stores
from fashion_udf.table.commit import DataFile
from fashion_udf.table.memory_store import MemoryStore
from fashion_udf.table.retention import Policy, Removal
from fashion_udf.table.rollback import rollback
from tests import tables
from tests.tables import backdate, publish, stage, written

DAY = 86400.0
#: Whatever is not current goes.
ALL = Policy(older_than=0, keep=1, grace=0)


def _publish(output: Path, count: int) -> None:
    """Snapshots s1, s2, ..., all of them published 100 days ago."""
    for number in range(1, count + 1):
        publish(output, [str(number)], run_id=f"s{number}")
    backdate(output, 100 * DAY)


def _names(removals: list[Removal]) -> list[str]:
    return [removal.path.name for removal in removals]


def _expire(output: Path, policy: Policy, now: float | None = None) -> list[str]:
    removed, problems = retention.expire(str(output), policy, now)
    assert problems == []
    return _names(removed)


def _kept(output: Path) -> list[str]:
    """Ids of the snapshots that did not expire, each of which must be whole."""
    gone = pins.expired(str(output))
    kept = [commit for commit in snapshot.read_log(str(output)) if commit.snapshot_id not in gone]
    for commit in kept:
        snapshot.verify(str(output), commit)
    return [commit.snapshot_id for commit in kept]


def _digests(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_old_snapshots_beyond_those_to_keep_are_removed(tmp_path: Path) -> None:
    _publish(tmp_path, 5)
    before = _digests(tmp_path)
    assert _expire(tmp_path, Policy(30 * DAY, 2, DAY)) == ["s1", "s2", "s3"]
    assert _kept(tmp_path) == ["s4", "s5"]
    assert sorted(os.listdir(tmp_path / "tags/data")) == ["s4", "s5"]
    assert [commit.number for commit in snapshot.read_log(str(tmp_path))] == [1, 2, 3, 4, 5]
    after = _digests(tmp_path)
    assert {name: after[name] for name in before if name in after} == {n: before[n] for n in before if n in after}
    assert publish(tmp_path, ["6"]).number == 6


def test_what_was_removed_is_described(tmp_path: Path) -> None:
    _publish(tmp_path, 2)
    size = (tmp_path / "tags/data/s1/s1-part-00000.parquet").stat().st_size
    (removal,), _ = retention.expire(str(tmp_path), ALL)
    assert (removal.kind, str(removal.path)) == ("snapshot", "tags/data/s1")
    assert removal.size >= size and removal.commit == snapshot.read_log(str(tmp_path))[0]
    assert 99.9 * DAY < time.time() - removal.since < 100.1 * DAY


def test_a_plan_names_what_expire_removes_and_writes_nothing(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    stage(tmp_path, ["x"], name="dead")
    backdate(tmp_path / "staging", 3 * DAY)
    before = _digests(tmp_path)
    planned = retention.to_remove(str(tmp_path), Policy(keep=1))
    assert _digests(tmp_path) == before
    assert _names(planned) == ["s1", "s2", "dead"]
    assert _expire(tmp_path, Policy(keep=1)) == _names(planned)


def test_nothing_is_left_to_remove_the_second_time(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    assert _expire(tmp_path, ALL) == ["s1", "s2"]
    assert _expire(tmp_path, ALL) == []


# ---- protections


def test_the_current_snapshot_stays_however_old(tmp_path: Path) -> None:
    _publish(tmp_path, 1)
    assert _expire(tmp_path, ALL) == []
    assert _kept(tmp_path) == ["s1"]


def test_a_pinned_snapshot_stays_until_it_is_unpinned(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    commit = snapshot.read_log(str(tmp_path))[0]
    pins.pin(str(tmp_path), commit)
    assert _expire(tmp_path, ALL) == ["s2"]
    assert _kept(tmp_path) == ["s1", "s3"]
    pins.unpin(str(tmp_path), commit)
    assert _expire(tmp_path, ALL) == ["s1"]


def test_a_snapshot_that_a_rollback_made_current_stays(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    rollback(str(tmp_path), 1)
    backdate(tmp_path / "tags/log/00000004.json", 50 * DAY)
    assert _expire(tmp_path, ALL) == ["s2", "s3"]
    assert _kept(tmp_path) == ["s1", "s1"]


def test_a_snapshot_counts_by_the_newest_commit_that_names_it(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    rollback(str(tmp_path), 1)
    publish(tmp_path, ["5"], run_id="s5")
    backdate(tmp_path, 50 * DAY)
    assert _expire(tmp_path, Policy(0, 2, 0)) == ["s2", "s3"]


def test_a_snapshot_that_has_expired_is_not_one_of_those_to_keep(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    first = snapshot.read_log(str(tmp_path))[0]
    pins.pin(str(tmp_path), first)
    assert _expire(tmp_path, ALL) == ["s2"]
    pins.unpin(str(tmp_path), first)
    assert _expire(tmp_path, Policy(0, 2, 0)) == []


def test_a_snapshot_is_young_until_it_has_not_been_current_for_long(tmp_path: Path) -> None:
    """A reader that opened it a minute before the next one was published has all of the grace time."""
    publish(tmp_path, ["1"], run_id="s1")
    backdate(tmp_path, 100 * DAY)
    publish(tmp_path, ["2"], run_id="s2")
    assert _expire(tmp_path, Policy(0, 1, DAY)) == []
    assert _expire(tmp_path, Policy(DAY, 1, 0)) == []
    backdate(tmp_path / "tags/log/00000002.json", 2 * DAY)
    assert _expire(tmp_path, Policy(0, 1, DAY)) == ["s1"]


def test_grace_holds_where_older_than_is_shorter(tmp_path: Path) -> None:
    _publish(tmp_path, 2)
    assert _expire(tmp_path, Policy(0, 1, 101 * DAY)) == []
    assert _expire(tmp_path, Policy(101 * DAY, 1, 0)) == []
    assert _expire(tmp_path, Policy(99 * DAY, 1, 99 * DAY)) == ["s1"]


def test_a_slow_reader_finishes_on_the_snapshot_it_opened(tmp_path: Path) -> None:
    publish(tmp_path, [str(n) for n in range(1000)], ["x"], run_id="s1")
    directory = paths.data_dir(str(tmp_path), tables.head(tmp_path))
    with duckdb.connect() as connection:
        connection.execute((tmp_path / "tags/current.sql").read_text())
        opened = ds.dataset(directory, format="parquet")
        for number in range(3):
            publish(tmp_path, [str(number)])
            assert _expire(tmp_path, Policy(older_than=0, keep=1)) == []
        assert connection.execute("SELECT count(*) FROM tags").fetchall() == [(1001,)]
        assert opened.count_rows() == 1001


# ---- clocks (T1.16)


def test_a_clock_that_went_back_makes_no_snapshot_older_than_the_one_before(tmp_path: Path) -> None:
    for number in range(1, 4):
        publish(tmp_path, [str(number)], run_id=f"s{number}")
    for number in (2, 3):  # published while the clock stood in 1970
        os.utime(tmp_path / f"tags/log/0000000{number}.json", (1000, 1000))
    assert _expire(tmp_path, Policy(0, 1, DAY)) == []


def test_a_date_in_the_future_is_young(tmp_path: Path) -> None:
    _publish(tmp_path, 2)
    backdate(tmp_path / "tags/log/00000002.json", -200 * DAY)
    assert _expire(tmp_path, ALL) == []


def test_order_comes_from_numbers_and_not_from_ids_or_times(tmp_path: Path) -> None:
    for run_id in ("z", "m", "a"):
        publish(tmp_path, ["1"], run_id=run_id)
    backdate(tmp_path, 100 * DAY)
    backdate(tmp_path / "tags/log/00000001.json", -50 * DAY)
    assert _expire(tmp_path, Policy(0, 2, 0)) == ["z"]


# ---- staging and reports


def _run(output: Path, name: str, age: float, heartbeat: float | None = None) -> None:
    """A run's staging and reports, last written to `age` seconds ago; a heartbeat so many seconds ago."""
    stage(output, ["x"], name=name)
    (output / "runs" / name).mkdir(parents=True)
    (output / "runs" / name / "outcome.json").write_text("{}")
    if heartbeat is not None:
        (output / "staging" / name / "alive").touch()
    backdate(output / "staging" / name, age)
    backdate(output / "runs" / name, age)
    if heartbeat is not None:
        os.utime(output / "staging" / name / "alive", (time.time() - heartbeat,) * 2)


def test_dead_staging_goes_and_a_live_run_keeps_all_it_has(tmp_path: Path) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    _run(tmp_path, "dead", 2 * DAY)
    _run(tmp_path, "dead-heartbeat", 3 * DAY, heartbeat=2 * DAY)
    _run(tmp_path, "live", 90 * DAY, heartbeat=60)
    _run(tmp_path, "young", DAY / 2)
    assert _expire(tmp_path, Policy()) == ["dead", "dead-heartbeat"]
    assert sorted(os.listdir(tmp_path / "staging")) == ["live", "young"]
    assert sorted(os.listdir(tmp_path / "runs")) == ["dead", "dead-heartbeat", "live", "young"]


def test_reports_go_with_age_unless_their_run_or_snapshot_is_there(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    for name in ("s1", "s3", "refused"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    backdate(tmp_path / "runs", 40 * DAY)
    _run(tmp_path, "live", 90 * DAY, heartbeat=60)
    policy = Policy(keep=1)
    assert _expire(tmp_path, policy)[:2] == ["s1", "s2"]
    assert "refused" not in os.listdir(tmp_path / "runs")
    assert _expire(tmp_path, policy) == ["s1"], "its snapshot has expired in the call before"
    assert sorted(os.listdir(tmp_path / "runs")) == ["live", "s3"]


def test_reports_stay_with_what_their_run_published_under_another_id(tmp_path: Path) -> None:
    run_id = paths.new_run_id()
    _publish(tmp_path, 1)
    publish(tmp_path, ["a"], run_id=paths.attempt_id(run_id, "1"))
    (tmp_path / "runs" / run_id).mkdir(parents=True)
    backdate(tmp_path / "runs", 400 * DAY)
    assert _expire(tmp_path, Policy()) == []


def test_what_no_run_made_is_left_alone(tmp_path: Path) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/file").touch()
    for parent in ("staging", "runs"):
        (tmp_path / parent).mkdir(exist_ok=True)
        (tmp_path / parent / "link").symlink_to(outside)
        (tmp_path / parent / "README.txt").touch()
        (tmp_path / parent / "file").touch()
        (tmp_path / parent / "no run").mkdir()
    backdate(tmp_path, 100 * DAY)
    assert _expire(tmp_path, ALL) == []
    for parent in ("staging", "runs"):
        assert sorted(os.listdir(tmp_path / parent)) == ["README.txt", "file", "link", "no run"]
    assert (outside / "deep/file").exists()


def test_a_link_inside_a_dead_run_is_removed_and_not_followed(tmp_path: Path) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    (tmp_path / "staging/dead").mkdir()
    (tmp_path / "staging/dead/link").symlink_to(tmp_path / "outside")
    backdate(tmp_path / "staging", 2 * DAY)
    assert _expire(tmp_path, Policy()) == ["dead"]
    assert (tmp_path / "outside/file").exists()


def test_a_run_that_comes_to_life_keeps_its_staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    _run(tmp_path, "dead", 2 * DAY)
    rename = os.rename

    def touched(source: Path, target: Path) -> None:
        if source.name == "dead":
            (source / "alive").touch()
        rename(source, target)

    monkeypatch.setattr(os, "rename", touched)
    assert _expire(tmp_path, Policy()) == []
    assert (tmp_path / "staging/dead/part-00000-x.zstd.parquet").exists()


def test_staging_that_cannot_be_read_is_not_known_to_be_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    _run(tmp_path, "dead", 2 * DAY)
    scandir = os.scandir

    def refuse(path: object) -> object:
        if str(path).endswith("_temporary"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        assert _expire(tmp_path, Policy()) == []
    assert _expire(tmp_path, Policy()) == ["dead"]


# ---- refusals


def test_a_file_that_no_commit_names_stays_and_is_reported(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    (tmp_path / "tags/data/s1/notes.txt").write_text("mine")
    removed, problems = retention.expire(str(tmp_path), ALL)
    assert _names(removed) == ["s2"], "one that cannot be removed does not hold up the others"
    assert len(problems) == 1 and "tags/data/s1: [Errno 39] Directory not empty" in problems[0]
    assert os.listdir(tmp_path / "tags/data/s1") == ["notes.txt"]
    (tmp_path / "tags/data/s1/notes.txt").unlink()
    assert _expire(tmp_path, ALL) == ["s1"]


def _move_out(path: Path) -> None:
    target = path.parent.parent / f"moved-{path.name}"
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tags/data/s1",
            "s1: Expected a directory inside the table. Received: .* a link, .*s1'. Nothing was removed",
        ),
        ("tags/data", "Expected a readable table in .* Received: .* a link, which .*data.*'. Nothing was removed"),
        ("staging", "Expected a readable table in .* Received: .* a link, which .*staging'. Nothing was removed"),
        ("runs", "Expected a readable table in .* Received: .* a link, which .*runs'. Nothing was removed"),
    ],
)
def test_nothing_is_removed_through_a_link(tmp_path: Path, name: str, message: str) -> None:
    _publish(tmp_path, 2)
    _run(tmp_path, "dead", 100 * DAY)
    _move_out(tmp_path / name)
    before = _digests(tmp_path / "tags")
    with pytest.raises(SnapshotError, match=message):
        _, problems = retention.expire(str(tmp_path), ALL)
        raise SnapshotError(*problems)
    assert {k: v for k, v in _digests(tmp_path / "tags").items() if "expired" not in k} == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda log: (log / "00000001.json").write_text("garbage"),
        lambda log: (log / "00000002.json").unlink(),
        lambda log: (log / "x.json").touch(),
    ],
)
def test_a_damaged_log_means_that_nothing_is_known_and_nothing_goes(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    _publish(tmp_path, 3)
    _run(tmp_path, "dead", 100 * DAY)
    damage(tmp_path / "tags/log")
    before = _digests(tmp_path)
    with pytest.raises(SnapshotError):
        retention.expire(str(tmp_path), ALL)
    assert _digests(tmp_path) == before


def test_an_output_without_a_table_loses_nothing(tmp_path: Path) -> None:
    assert retention.expire(str(tmp_path / "absent"), ALL) == ([], [])
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("options", [{"keep": 0}, {"older_than": -1}, {"grace": -1}])
def test_a_policy_that_keeps_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="Expected --keep of at least 1, and no negative time. Received: Policy"):
        Policy(**options)


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("15m", 900), ("24h", DAY), ("30d", 30 * DAY), ("0s", 0)])
def test_a_time_has_a_unit(text: str, expected: float) -> None:
    assert retention.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "1w", "1 d", "9999999d", "1d\n"])
def test_another_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="Expected a time such as 90s, 15m, 24h or 30d. Received: "):
        retention.seconds(text)


def test_the_newest_list_of_photos_to_try_again_is_kept_however_old(tmp_path: Path) -> None:
    publish(tmp_path, ["1"])
    runs = [paths.new_run_id() for _ in range(2)]
    for days, run in zip((50, 40), runs, strict=True):
        (tmp_path / "runs" / run / "retries.parquet").mkdir(parents=True)
        (tmp_path / "runs" / run / "retries.parquet" / "part-00000.parquet").touch()
        backdate(tmp_path / "runs" / run, days * 86400)
    removed, problems = retention.expire(str(tmp_path), retention.Policy())
    assert [removal.path.name for removal in removed] == [runs[0]] and not problems


# ---- data that no commit names


def test_data_of_a_lost_race_goes_after_the_grace_time(tmp_path: Path) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    run_id = paths.new_run_id()
    written(tmp_path, ["lost"], name=run_id)
    publish(tmp_path, ["2"], run_id=paths.attempt_id(run_id, "1"))
    assert _expire(tmp_path, Policy()) == [], "a run may still be at it"
    backdate(tmp_path / "tags/data" / run_id, 2 * DAY)
    assert _expire(tmp_path, Policy()) == [run_id]
    assert _kept(tmp_path) == ["s1", paths.attempt_id(run_id, "1")]


def test_data_stays_while_its_run_has_staging(tmp_path: Path) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    run_id = paths.new_run_id()
    written(tmp_path, ["refused"], name=paths.attempt_id(run_id, "1"))
    backdate(tmp_path / "tags/data", 9 * DAY)
    _run(tmp_path, run_id, 8 * DAY, heartbeat=60)
    assert _expire(tmp_path, Policy()) == []
    backdate(tmp_path / "staging", 2 * DAY)
    assert _expire(tmp_path, Policy()) == [run_id], "the staging first"
    assert _expire(tmp_path, Policy()) == [paths.attempt_id(run_id, "1")]
    assert _kept(tmp_path) == ["s1"]


def test_data_that_is_committed_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, ["1"], run_id="s1")
    files = written(tmp_path, ["2"], name="s2")
    backdate(tmp_path / "tags/data/s2", 2 * DAY)
    planned = retention.to_remove(str(tmp_path), Policy())
    assert _names(planned) == ["s2"]
    snapshot.publish(str(tmp_path), "s2", files, "v1", expected_rows=1, parent=tables.head(tmp_path))
    monkeypatch.setattr(retention, "to_remove", lambda *_: planned)
    assert _expire(tmp_path, Policy()) == []
    assert _kept(tmp_path) == ["s1", "s2"]


def test_what_is_old_is_removed_from_an_object_store_too(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore()
    monkeypatch.setitem(stores.STORES, "s3", memory)
    parent = None
    for run_id in ("s1", "s2", "s3"):
        memory.write(f"tags/data/{run_id}/part-0.parquet", b"rows")
        files = (DataFile("part-0.parquet", 4, 1, "a" * 64),)
        parent = snapshot.publish("s3://b/out", run_id, files, "v1", expected_rows=1, parent=parent)
    for key in ("tags/data/lost/part-0.parquet", "staging/dead/alive", "staging/dead/results/00000.json"):
        memory.write(key, b"")
    for key in memory.times:
        memory.times[key] -= 90 * DAY
    memory.write("staging/live/alive", b"")
    rollback_to = snapshot.read_log("s3://b/out")[1]
    pins.pin("s3://b/out", rollback_to)
    removed, problems = retention.expire("s3://b/out", Policy(keep=1))
    assert (_names(removed), problems) == (["s1", "lost", "dead"], [])
    held = {key.rsplit("/", 1)[0] for key in memory.objects if key.startswith(("tags/data", "staging"))}
    assert held == {"tags/data/s2", "tags/data/s3", "staging/live"}
