"""Claims on rows of the review queue, so that two people who review at the same time get different rows.

The queue is divided into cells of a few rows of one category. A reviewer claims a cell by a create-only file of the
current hour, `<output>/overrides/claims/<run_id>/<cell>-<hour>`. Until the end of the next hour, nobody else may take
the cell. So an active reviewer can renew the claim in time, and the cells of a reviewer who left become free.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fashion_udf.table.store import Store

_CLAIMS = "overrides/claims"
_HOUR = 3600.0  # seconds


@dataclass
class Claims:
    """The cells of one reviewer.

    Attributes:
        store: the store of the output.
        run_id: id of the run that wrote the queue.
        reviewer: a unique id of the reviewer.
        clock: returns seconds since the epoch.
    """

    store: Store
    run_id: str
    reviewer: str
    clock: Callable[[], float] = time.time
    _mine: dict[int, int] = field(default_factory=dict)  # cell -> hour
    _others: dict[int, int] = field(default_factory=dict)  # cell -> hour

    def refresh(self) -> None:
        """Read the claims of other reviewers. Claims that are made later are found when their cell is claimed."""
        for name in self.store.list_names(self._folder):
            cell, _, hour = name.partition("-")
            if cell.isdigit() and hour.isdigit() and self._mine.get(int(cell), -1) < int(hour):
                self._others[int(cell)] = max(int(hour), self._others.get(int(cell), -1))

    def hold(self, cell: int) -> bool:
        """Claim a cell, or renew the claim. Return False if somebody else has claimed it."""
        hour = int(self.clock() // _HOUR)
        if self._mine.get(cell) == hour:
            return True
        if self._others.get(cell, -2) >= hour - 1:
            return False
        key = f"{self._folder}/{cell}-{hour}"
        # A create may have succeeded although the store reported a failure.
        if self.store.create(key, self.reviewer.encode()) or self.store.read(key, 1000) == self.reviewer.encode():
            self._mine[cell] = hour
            return True
        self._others[cell] = hour
        return False

    @property
    def _folder(self) -> str:
        return f"{_CLAIMS}/{self.run_id}"


def remove_old(store: Store, now: float) -> int:
    """Remove old claims of all queues, and return their number.

    Args:
        store: the store of the output.
        now: seconds since the epoch.
    """
    removed = 0
    for run_id in store.list_names(_CLAIMS):
        for name in store.list_names(f"{_CLAIMS}/{run_id}"):
            hour = name.partition("-")[2]
            if hour.isdigit() and int(hour) < now // _HOUR - 1:
                store.delete(f"{_CLAIMS}/{run_id}/{name}")
                removed += 1
    return removed
