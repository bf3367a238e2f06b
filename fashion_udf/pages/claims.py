"""Who holds which rows of the review queue: two people who decide at the same time get different rows.

The queue is cut into cells of a few rows of one category. A reviewer holds a cell by a create-only file of the current
hour, `<output>/overrides/claims/<run_id>/<cell>-<hour>`. Until the end of the hour after it nobody else may take the
cell, so that a reviewer who goes on renews in time, and the cells of one who left are free again.
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
        store: of the output.
        run_id: of the run whose queue it is.
        reviewer: an id that no other reviewer has.
        clock: seconds since the epoch.
    """

    store: Store
    run_id: str
    reviewer: str
    clock: Callable[[], float] = time.time
    _mine: dict[int, int] = field(default_factory=dict)  # cell -> hour
    _others: dict[int, int] = field(default_factory=dict)  # cell -> hour

    def refresh(self) -> None:
        """Look which cells others hold; they may come while this is not called, and are then found one by one."""
        for name in self.store.list_names(self._folder):
            cell, _, hour = name.partition("-")
            if cell.isdigit() and hour.isdigit() and self._mine.get(int(cell), -1) < int(hour):
                self._others[int(cell)] = max(int(hour), self._others.get(int(cell), -1))

    def hold(self, cell: int) -> bool:
        """Take a cell, or go on holding it; False while somebody else does."""
        hour = int(self.clock() // _HOUR)
        if self._mine.get(cell) == hour:
            return True
        if self._others.get(cell, -2) >= hour - 1:
            return False
        key = f"{self._folder}/{cell}-{hour}"
        # A create that landed although the store said otherwise is mine too.
        if self.store.create(key, self.reviewer.encode()) or self.store.read(key, 1000) == self.reviewer.encode():
            self._mine[cell] = hour
            return True
        self._others[cell] = hour
        return False

    @property
    def _folder(self) -> str:
        return f"{_CLAIMS}/{self.run_id}"


def remove_old(store: Store, now: float) -> int:
    """Remove the claims that hold nothing any more, of all queues; returns how many.

    Args:
        store: of the output.
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
