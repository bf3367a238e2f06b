"""The gates: what a table must satisfy before it is published, each with a threshold and a plain message.

A broken gate leaves the published table as it is. A person who has looked may publish the refused one all the same
(`jobs/snapshots.py publish --accept GATE`), but for the gates in `ABSOLUTE`: a table that breaks these is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fashion_udf.config import Gates
from fashion_udf.pipeline.audit import Audit, largest
from fashion_udf.schema import EMBEDDING_SIZE, NOT_A_FAILURE

#: Rows lost or doubled, and numbers no reader can use: nobody may accept them.
ABSOLUTE = ("ledger", "embeddings")
_PAIRS = 5  # of flipped labels named in a message
_MIN_ROWS = 100  # below, one row is a large share: shares are looked at from this many rows on


@dataclass(frozen=True)
class Broken:
    """A gate that refuses: its name, and what was expected, received and can be done."""

    gate: str
    message: str


def broken(found: Audit, accepted: int, gates: Gates) -> list[Broken]:
    """Return the gates that refuse the table.

    Args:
        found: by `audit`.
        accepted: rows that the table must have.
        gates: thresholds.
    """
    return [Broken(gate, message) for gate, message in (*_absolute(found, accepted), *_relative(found, gates))]


def _absolute(found: Audit, accepted: int) -> Iterator[tuple[str, str]]:
    if (found.rows, found.ids) != (accepted, accepted):
        yield (
            "ledger",
            f"Expected {accepted} rows, one for each product. "
            f"Received: {found.rows} rows with {found.ids} different ids",
        )
    if found.bad_embeddings:
        yield (
            "embeddings",
            f"Expected embeddings of {EMBEDDING_SIZE} finite numbers and unit length. "
            f"Received: {found.bad_embeddings} others",
        )


def _relative(found: Audit, gates: Gates) -> Iterator[tuple[str, str]]:
    before = found.previous_rows
    # Shares are compared, and not rows with a product: 0.29 * 100 is less than 29.
    if before and (before - found.rows) / before > gates.max_row_drop:
        yield (
            "row_drop",
            f"Expected at most {gates.max_row_drop:.1%} fewer rows than published (gates.max_row_drop). "
            f"Received: {found.rows}, {1 - found.rows / before:.1%} fewer than {before}",
        )
    if found.rows < _MIN_ROWS:
        return
    sound = {status.value for status in NOT_A_FAILURE}
    failed = {status: rows for status, rows in found.statuses.items() if status not in sound}
    if sum(failed.values()) / found.rows > gates.max_failures:
        named = ", ".join(f"{status} {rows}" for status, rows in largest(failed))
        yield (
            "failures",
            f"Expected at most {gates.max_failures:.1%} of the rows to fail (gates.max_failures). "
            f"Received: {sum(failed.values()) / found.rows:.1%}: {named}",
        )
    yield from _changes(found, gates)


def _changes(found: Audit, gates: Gates) -> Iterator[tuple[str, str]]:
    if not found.previous_rows:
        return  # a first table has nothing to be compared with: a shop may sell one kind of product
    most = largest(found.categories)[:1]
    limit = gates.max_one_category
    usual = max(found.previous_categories.values(), default=0) / found.previous_rows
    # A shop of one category has not collapsed: its published table is as uneven.
    if most and most[0][1] / found.rows > limit >= usual:
        name, rows = most[0]
        yield (
            "one_category",
            f"Expected no category with more than {limit:.1%} of the rows (gates.max_one_category). "
            f"Received: {name!r} with {rows / found.rows:.1%}",
        )
    new, old = (
        {**counts, None: rows - sum(counts.values())}
        for counts, rows in ((found.categories, found.rows), (found.previous_categories, found.previous_rows))
    )
    # Whole numbers until the division: parts of `scale` rows.
    scale = found.rows * found.previous_rows
    moved = {name: new.get(name, 0) * found.previous_rows - old.get(name, 0) * found.rows for name in {**new, **old}}
    # Total variation: the share of rows that would have to change category to turn one table into the other.
    shift = sum(map(abs, moved.values())) / (2 * scale)
    if shift > gates.max_shift:
        worst = sorted(moved.items(), key=lambda item: (-abs(item[1]), str(item[0])))[:_PAIRS]
        named = ", ".join(f"{name!r} {part / scale:+.1%}" for name, part in worst if part)
        yield (
            "category_shift",
            f"Expected the shares of categories to move by at most {gates.max_shift:.1%} (gates.max_shift). "
            f"Received: {shift:.1%}, most of all {named}",
        )
    flipped = sum(found.flips.values())
    if found.common >= _MIN_ROWS and flipped / found.common > gates.max_flips:
        named = ", ".join(f"{old!r} to {new!r} {rows}" for (old, new), rows in largest(found.flips)[:_PAIRS])
        yield (
            "flips",
            f"Expected at most {gates.max_flips:.1%} of the products to change category (gates.max_flips). "
            f"Received: {flipped / found.common:.1%}, most of all {named}",
        )
