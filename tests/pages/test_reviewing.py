"""A person's review: rows by worth, filters, decisions, undo, and two people who get different rows."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from fashion_udf.errors import InputError
from fashion_udf.pages import claims, review_queue
from fashion_udf.pages.claims import Claims
from fashion_udf.pages.review_queue import CELL_ROWS, Filters
from fashion_udf.table import decisions, rollback, snapshot
from fashion_udf.table.decisions import Decisions
from fashion_udf.table.memory_store import MemoryStore
from fashion_udf.table.stores import open_store
from tests import tables
from tests.pages import queues

ALL = Filters()


def _ids(review: object, rows: list[int]) -> list[str]:
    return [review.queue.row(row)["product_id"] for row in rows]  # type: ignore[attr-defined]


def test_the_worthiest_rows_come_first_and_none_twice(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(number) for number in range(50)])
    review = queues.review(tmp_path)
    first = review.next(ALL, 10)
    assert first == [*range(10)]
    assert review.next(ALL, 5, but=first) == [*range(10, 15)]


def test_rows_are_filtered_by_category_status_decision_suspect_and_text(tmp_path: Path) -> None:
    rows = [queues.row(number) for number in range(30)]
    rows[4] |= {"status": "image_missing", "suspect": "photo", "title": "Ein GRÜNER Hut"}
    queues.write(tmp_path, rows)
    review = queues.review(tmp_path)
    assert review.next(Filters(category="Shirts"), 100) == [number for number in range(30) if number % 3 == 1]
    assert review.next(Filters(decision="review", category="Shirts"), 2) == [1, 7]
    for one in (
        Filters(status="image_missing"),
        Filters(suspect="photo"),
        Filters(text="grüner"),
        Filters(text="P000004"),
    ):
        assert review.next(one, 100) == [4], one
    assert review.next(Filters(category="no such"), 100) == []


def test_a_decision_is_a_new_file_with_who_when_old_new_and_model(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(0), queues.row(1)])
    review = queues.review(tmp_path)
    review.decide([("p000000", "Watches")])
    (decided,) = Decisions(open_store(str(tmp_path))).read()
    facts = decided.model_dump(exclude={"at"})
    assert facts == {
        "product_id": "p000000", "category": "Watches", "before": "Hats", "model_category": "Hats",
        "model_version": "m1", "by": "ann",
    }  # fmt: skip
    assert len([*(tmp_path / "overrides").glob("*.json")]) == 1
    assert review.next(ALL, 5) == [1]


def test_undo_takes_the_last_action_back_and_restores_what_stood_before(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(0), queues.row(1)])
    store = open_store(str(tmp_path))
    review = queues.review(tmp_path)
    review.decide([("p000000", "Watches")])
    review.decide([("p000000", "Socks"), ("p000001", "Hats")])
    assert review.undo() == [1]
    assert decisions.categories(Decisions(store).read()) == {"p000000": "Watches"}
    assert review.undo() == [0]
    assert decisions.categories(Decisions(store).read()) == {}
    assert review.undo() == [] and review.next(ALL, 5) == [0, 1]


def test_two_people_get_different_rows_in_every_view(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(number) for number in range(300)])
    ann, bob = queues.review(tmp_path, "ann"), queues.review(tmp_path, "bob")
    held: dict[str, set[int]] = {"ann": set(), "bob": set()}
    for person, review in [("ann", ann), ("bob", bob)] * 4:
        for filters, count in ((ALL, 10), (Filters(category="Shoes"), 40), (Filters(text="product 1"), 5)):
            held[person] |= {*review.next(filters, count, but=[*held[person]])}
    assert held["ann"] & held["bob"] == set()
    assert len(held["ann"]) > 60 and len(held["bob"]) > 60


def test_what_another_person_decides_is_left_out_after_a_look(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(number) for number in range(6)])
    ann, bob = queues.review(tmp_path, "ann"), queues.review(tmp_path, "bob")
    ann.decide([("p000000", "Hats")])
    bob.refresh()
    assert bob.progress().decided == 1 and bob.progress().mine == 0
    assert 0 not in bob.next(ALL, 10)


def test_a_cell_is_free_again_two_hours_after_its_reviewer_left() -> None:
    memory, now = MemoryStore(), [0.0]
    ann, bob = (Claims(memory(""), "run", name, lambda: now[0]) for name in ("ann", "bob"))
    assert ann.hold(7) and not bob.hold(7)
    now[0] = 3700.0
    bob.refresh()
    assert not bob.hold(7), "the hour after is still ann's"
    assert ann.hold(7)
    now[0] = 3 * 3600.0
    bob = Claims(memory(""), "run", "bob", lambda: now[0])
    bob.refresh()
    assert bob.hold(7) and not ann.hold(7)


def test_claims_that_hold_nothing_any_more_are_removed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    for hour in (0, 5):
        assert Claims(store, f"run{hour}", "ann", lambda hour=hour: hour * 3600.0).hold(7)  # type: ignore[misc]
    assert claims.remove_old(store, 6 * 3600.0) == 1
    assert not Claims(store, "run5", "bob", lambda: 5 * 3600.0).hold(7)
    assert Claims(store, "run0", "bob", lambda: 0.0).hold(7)


def test_cells_hold_rows_of_one_category(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(number) for number in range(100)])
    queue = review_queue.read(str(tmp_path))
    for cell in np.unique(queue.cells):
        rows = np.flatnonzero(queue.cells == cell)
        assert len(rows) <= CELL_ROWS and len({queue.row(row)["category"] for row in map(int, rows)}) == 1


def test_what_is_not_in_the_queue_or_no_category_is_refused(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(0)])
    review = queues.review(tmp_path)
    with pytest.raises(InputError, match=r"Expected a product of the queue\. Received: 'x'"):
        review.decide([("x", "Hats")])
    with pytest.raises(InputError, match=r"Expected a category of the model\. Received: 'Kites'"):
        review.decide([("p000000", "Kites")])
    assert not (tmp_path / "overrides").exists() or not [*(tmp_path / "overrides").glob("*.json")]


def test_the_export_is_a_table_that_overrides_path_takes(tmp_path: Path) -> None:
    queues.write(tmp_path, [queues.row(0, product_id='a "quoted", id'), queues.row(1)])
    review = queues.review(tmp_path)
    review.decide([('a "quoted", id', "Watches"), ("p000001", "Shirts")])
    head, first, second = review.export().splitlines()
    assert head.startswith("product_id,category,")
    assert first.startswith('"a ""quoted"", id",Watches,Hats,Hats,m1,ann,') and second.startswith("p000001,Shirts,")


def test_an_output_without_a_queue_is_refused_with_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`fashion-udf tag` writes one when it publishes\. Received: none"):
        review_queue.read(str(tmp_path))


def _published(output: Path, run_id: str) -> None:
    written, parent = tables.written(output, ["a"], name=run_id), snapshot.current(str(output))
    snapshot.publish(str(output), run_id, written, "m1", expected_rows=1, parent=parent)


def test_the_queue_is_that_of_the_published_table_also_of_a_refused_one_that_a_person_accepts(tmp_path: Path) -> None:
    first, refused = (f"2026112{day}T020000000000Z-0000000{day}" for day in (7, 8))
    queues.write(tmp_path, [queues.row(0)], run_id=first)
    _published(tmp_path, first)
    queues.write(tmp_path, [queues.row(1)], run_id=refused)
    (tmp_path / "runs" / refused / "outcome.json").write_text('{"exit_code": 3}')
    read = review_queue.read(str(tmp_path))
    assert (read.run_id, read.published) == (first, True)
    _published(tmp_path, refused)
    assert review_queue.read(str(tmp_path)).run_id == refused
    rollback.rollback(str(tmp_path), 1)
    assert review_queue.read(str(tmp_path)).run_id == first


def test_where_the_published_table_has_no_queue_the_newest_of_another_published_one_is_shown(tmp_path: Path) -> None:
    first, second, third = (f"2026112{day}T020000000000Z-0000000{day}" for day in (7, 8, 9))
    for run_id, code in ((first, 0), (second, 3)):
        queues.write(tmp_path, [queues.row(0)], run_id=run_id)
        (tmp_path / "runs" / run_id / "outcome.json").write_text(f'{{"exit_code": {code}}}')
    _published(tmp_path, third)
    read = review_queue.read(str(tmp_path))
    assert (read.run_id, read.published) == (first, False)


def test_a_hundred_thousand_rows_are_searched_in_a_fifth_of_a_second(tmp_path: Path) -> None:
    rows = [
        queues.row(number, title=f"Title {number} " + "word " * 10, description="d" * 300) for number in range(1000)
    ]
    queues.write(tmp_path, rows)
    small = review_queue.read(str(tmp_path))
    many = [small.rows.set_column(0, "product_id", [[f"{part}-{n}" for n in range(1000)]]) for part in range(100)]
    queue = review_queue.Queue(queues.RUN, __import__("pyarrow").concat_tables(many), small.reading)
    store = MemoryStore()("")
    review = queues.Review(queue, Decisions(store), Claims(store, "run", "ann"), "ann")
    slowest = 0.0
    for filters, count in (
        (ALL, 10),
        (Filters(category="Shoes"), 40),
        (Filters(text="title 999"), 10),
        (Filters(text="zz"), 9),
    ):
        started = time.process_time()
        found = [queue.row(row) for row in review.next(filters, count)]
        slowest = max(slowest, time.process_time() - started)
        assert len(found) <= count
    assert len(queue) == 100_000 and slowest < 0.2, f"{slowest:.3f} s of processor time"
