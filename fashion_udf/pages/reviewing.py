"""The review of one person: next rows, decisions, undo, progress. Rows that others decided or claimed are left out."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import InputError
from fashion_udf.pages.claims import Claims
from fashion_udf.pages.review_queue import Filters, Queue
from fashion_udf.table import decisions
from fashion_udf.table.decisions import Decided, Decisions

#: Columns of the export. The first two are those of `overrides.path`.
CSV = ("product_id", "category", "before", "model_category", "model_version", "by", "at")


@dataclass(frozen=True)
class Progress:
    """Number of rows in the queue, of decided rows, and of those that this person decided."""

    rows: int
    decided: int
    mine: int


class Review:
    """The review of one person. Several threads may call its methods."""

    def __init__(self, queue: Queue, kept: Decisions, claims: Claims, person: str) -> None:
        """Read the existing decisions.

        Raises:
            SnapshotError: the decisions cannot be read.
        """
        self.queue, self.person = queue, person
        self._kept, self._claims = kept, claims
        self._lock, self._storing = threading.Lock(), threading.Lock()
        self._skipped: NDArray[np.bool_] = np.zeros(len(queue), bool)
        self._decided: NDArray[np.bool_] = np.zeros(len(queue), bool)
        self._newest: dict[str, Decided] = {}
        self._seen: list[Decided] | None = None  # the last list that was read; the same list means no new decisions
        self._actions: list[list[Decided]] = []  # actions for undo, the last one at the end
        self.refresh()

    def refresh(self) -> None:
        """Read the decisions and claims of others."""
        with self._storing:
            found = self._kept.read()
            self._claims.refresh()
            if found is self._seen:
                return
            newest = {one.product_id: one for one in found}
            with self._lock:
                self._seen, self._newest = found, newest
                self._decided[:] = False
                for product_id, one in newest.items():
                    self._mark(product_id, one.category is not None)

    def next(self, filters: Filters, count: int, but: Sequence[int] = ()) -> list[int]:
        """Return the next rows to decide on, the highest worth first, and claim them for at least an hour.

        Args:
            filters: which rows to show.
            count: maximum of rows.
            but: rows that are already on the page.
        """
        with self._lock:
            waiting = self.queue.matching(filters) & ~self._decided & ~self._skipped
            waiting[list(but)] = False
            found: list[int] = []
            closed = set[int]()  # cells that another reviewer has claimed, in this call
            for row in np.flatnonzero(waiting):
                cell = int(self.queue.cells[row])
                if cell not in closed and self._claims.hold(cell):
                    found.append(int(row))
                    if len(found) == count:
                        break
                else:
                    closed.add(cell)
            return found

    def decide(self, choices: Sequence[tuple[str, str]]) -> None:
        """Save a person's categories of products of the queue, in one new file.

        Raises:
            InputError: a product is not in the queue, or the model has no such category.
            OSError: the store failed. The decisions may not be saved.
        """
        for product_id, category in choices:
            if product_id not in self.queue.place:
                raise InputError(f"Expected a product of the queue. Received: {product_id!r}")
            if category not in self.queue.labels:
                raise InputError(f"Expected a category of the model. Received: {category!r}")
        made = [self._decision(product_id, category) for product_id, category in choices]
        with self._lock:
            before = [self._decision(one.product_id, self._category(one.product_id)) for one in made]
        self._keep(made)
        with self._lock:
            self._actions.append(before)

    def skip(self, row: int) -> None:
        """Skip a row, so that another session or another person decides on it."""
        with self._lock:
            self._skipped[row] = True

    def undo(self) -> list[int]:
        """Undo the last action by newer decisions, and return the rows that wait again."""
        with self._lock:
            if not self._actions:
                return []
            last = self._actions.pop()
        try:
            self._keep([one.model_copy(update={"at": decisions.now()}) for one in last])
        except OSError:
            with self._lock:
                self._actions.append(last)
            raise
        return [self.queue.place[one.product_id] for one in last if one.category is None]

    def progress(self) -> Progress:
        """Return the progress of the queue."""
        with self._lock:
            mine = sum(one.by == self.person and one.category is not None for one in self._newest.values())
            return Progress(len(self.queue), int(self._decided.sum()), mine)

    def export(self) -> str:
        """Return the newest decisions as CSV for `overrides.path`, sorted by product."""
        file = io.StringIO()
        writer = csv.DictWriter(file, CSV)
        writer.writeheader()
        with self._lock:
            kept = [one for _, one in sorted(self._newest.items()) if one.category is not None]
        writer.writerows({**one.model_dump(), "at": one.at.isoformat()} for one in kept)
        return file.getvalue()

    def _keep(self, made: list[Decided]) -> None:
        with self._storing:
            self._kept.add(made)
            with self._lock:
                for one in made:
                    self._newest[one.product_id] = one
                    self._mark(one.product_id, one.category is not None)

    def _mark(self, product_id: str, decided: bool) -> None:
        if (row := self.queue.place.get(product_id)) is not None:
            self._decided[row] = decided

    def _category(self, product_id: str) -> str | None:
        newest = self._newest.get(product_id)
        return newest.category if newest else None

    def _decision(self, product_id: str, category: str | None) -> Decided:
        row = self.queue.row(self.queue.place[product_id])
        return Decided(
            product_id=product_id,
            category=category,
            before=row["category"],
            model_category=row["model_category"],
            model_version=row["model_version"],
            by=self.person,
            at=decisions.now(),
        )
