"""The gates: conditions that a table must meet before it is published, each with a limit and a message.

If a table breaks a gate, the published table stays. A person who has looked at the refused table may publish it
(`jobs/snapshots.py publish --accept GATE`), except for the gates in `ABSOLUTE`: a table that breaks these is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fashion_udf.config import Gates
from fashion_udf.pipeline.audit import Audit, largest
from fashion_udf.schema import EMBEDDING_SIZE, NOT_A_FAILURE

#: Gates that nobody may accept: lost or duplicated rows, and values that no reader can use.
ABSOLUTE = ("ledger", "embeddings", "texts")
_PAIRS = 5  # maximum of pairs of categories named in a message
_SMALL_TABLE = 100  # rows; in a smaller table, one row is a large share
_FEW_ROWS = 3  # rows by which a small table may exceed a limit


@dataclass(frozen=True)
class Broken:
    """A gate that refuses the table: its name, and a message with the expected and the received value."""

    gate: str
    message: str


def broken(audit: Audit, accepted: int, gates: Gates) -> list[Broken]:
    """Return the gates that refuse the table.

    Args:
        audit: the counts to check.
        accepted: number of rows that the table must have.
        gates: the limits.
    """
    return [Broken(gate, message) for gate, message in (*_absolute(audit, accepted), *_relative(audit, gates))]


def _absolute(audit: Audit, accepted: int) -> Iterator[tuple[str, str]]:
    if (audit.rows, audit.ids) != (accepted, accepted):
        yield (
            "ledger",
            f"Expected {accepted} rows, one for each product. "
            f"Received: {audit.rows} rows with {audit.ids} different ids",
        )
    if audit.bad_embeddings:
        yield (
            "embeddings",
            f"Expected embeddings of {EMBEDDING_SIZE} finite numbers and unit length. "
            f"Received: {audit.bad_embeddings} invalid ones",
        )
    if audit.bad_texts:
        yield "texts", f"Expected every text in UTF-8. Received: {audit.bad_texts} invalid ones, which no reader opens"


def _relative(audit: Audit, gates: Gates) -> Iterator[tuple[str, str]]:
    before = audit.previous_rows
    # Shares are compared, because the product of a share and a count is inexact: 0.29 * 100 is less than 29.
    if before and (before - audit.rows) / before > gates.max_row_drop:
        yield (
            "row_drop",
            f"Expected at most {gates.max_row_drop:.1%} fewer rows than published (gates.max_row_drop). "
            f"Received: {audit.rows}, {1 - audit.rows / before:.1%} fewer than {before}",
        )
    if not audit.rows:
        return
    sound = {status.value for status in NOT_A_FAILURE}
    failed = {status: rows for status, rows in audit.statuses.items() if status not in sound}
    if audit.without_input:
        failed["neither text nor photo"] = audit.without_input
    if _exceeds(sum(failed.values()) / audit.rows, audit.rows, gates.max_failures):
        named = ", ".join(f"{status} {rows}" for status, rows in largest(failed))
        yield (
            "failures",
            f"Expected at most {gates.max_failures:.1%} of the rows to fail (gates.max_failures). "
            f"Received: {sum(failed.values()) / audit.rows:.1%}: {named}",
        )
    if _exceeds(audit.without_category / audit.rows, audit.rows, gates.max_without_category):
        yield (
            "without_category",
            f"Expected at most {gates.max_without_category:.1%} of the rows without a category "
            f"(gates.max_without_category). Received: {audit.without_category / audit.rows:.1%}: "
            f"{audit.without_category} of {audit.rows}",
        )
    yield from _decisions(audit, gates)
    yield from _changes(audit, gates)


def _exceeds(share: float, rows: int, limit: float) -> bool:
    """Return whether a share of `rows` exceeds its limit; in a small table, by more than a few rows."""
    return share > limit and (rows >= _SMALL_TABLE or round((share - limit) * rows, 6) > _FEW_ROWS)


def _decisions(audit: Audit, gates: Gates) -> Iterator[tuple[str, str]]:
    """Check the withdrawn decisions: many of them mean that the table of overrides was lost or is incomplete."""
    before, withdrawn = audit.decided_before, audit.withdrawn
    if not withdrawn:
        return
    share = withdrawn / before
    # All decisions withdrawn at once are refused, however few they are.
    if _exceeds(share, before, gates.max_withdrawn) or withdrawn == before > gates.max_withdrawn * before:
        yield (
            "overrides",
            f"Expected at most {gates.max_withdrawn:.1%} of people's decisions to be withdrawn (gates.max_withdrawn). "
            f"Received: {share:.1%}: {withdrawn} of {before}. Check that overrides.path holds all decisions",
        )


def _changes(audit: Audit, gates: Gates) -> Iterator[tuple[str, str]]:
    if not audit.previous_rows:
        return  # without a published table, a shop may really sell one kind of product
    most = largest(audit.categories)[:1]
    limit = gates.max_one_category
    usual = max(audit.previous_categories.values(), default=0) / audit.previous_rows
    # A shop may have one main category. Then its published table is as uneven.
    if most and usual <= limit and _exceeds(most[0][1] / audit.rows, audit.rows, limit):
        name, rows = most[0]
        yield (
            "one_category",
            f"Expected no category with more than {limit:.1%} of the rows (gates.max_one_category). "
            f"Received: {name!r} with {rows / audit.rows:.1%}",
        )
    new, old = (
        {**counts, None: rows - sum(counts.values())}
        for counts, rows in ((audit.categories, audit.rows), (audit.previous_categories, audit.previous_rows))
    )
    # Integers until the division avoid rounding: the counts are scaled to `scale` rows.
    scale = audit.rows * audit.previous_rows
    moved = {name: new.get(name, 0) * audit.previous_rows - old.get(name, 0) * audit.rows for name in {**new, **old}}
    # Total variation distance: the share of rows that must change category to turn one table into the other.
    shift = sum(map(abs, moved.values())) / (2 * scale)
    if _exceeds(shift, min(audit.rows, audit.previous_rows), gates.max_shift):
        worst = sorted(moved.items(), key=lambda item: (-abs(item[1]), str(item[0])))[:_PAIRS]
        named = ", ".join(f"{name!r} {part / scale:+.1%}" for name, part in worst if part)
        yield (
            "category_shift",
            f"Expected the shares of categories to move by at most {gates.max_shift:.1%} (gates.max_shift). "
            f"Received: {shift:.1%}, most of all {named}",
        )
    flipped = sum(audit.flips.values())
    if audit.common and _exceeds(flipped / audit.common, audit.common, gates.max_flips):
        named = ", ".join(f"{old!r} to {new!r} {rows}" for (old, new), rows in largest(audit.flips)[:_PAIRS])
        yield (
            "flips",
            f"Expected at most {gates.max_flips:.1%} of the products to change category (gates.max_flips). "
            f"Received: {flipped / audit.common:.1%}, most of all {named}",
        )
