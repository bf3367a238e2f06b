"""Held-out kinds: chosen by their names alone, about as many as asked for."""

from __future__ import annotations

import pytest

from training.data.held_out import is_held_out

KINDS = [f"kind {number}" for number in range(2000)]


def test_a_kind_is_held_out_or_not_whatever_its_case_and_spaces() -> None:
    for kind in ("Lip Gloss", "Earrings", "Ring"):
        assert is_held_out(kind) == is_held_out(f" {kind.upper().replace(' ', '  ')} ")


def test_the_choice_never_changes() -> None:
    """Figures of different releases are of the same kinds."""
    kinds = ("Earrings", "Lipstick", "Nail Polish", "Nightdress")
    assert [is_held_out(kind) for kind in kinds] == [True, False, True, True]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_the_share_is_that_of_all_kinds(share: float) -> None:
    assert sum(is_held_out(kind, share) for kind in KINDS) / len(KINDS) == pytest.approx(share, abs=0.03)


def test_a_larger_share_holds_out_what_a_smaller_one_does() -> None:
    small, large = ({kind for kind in KINDS if is_held_out(kind, share)} for share in (0.2, 0.4))
    assert small < large
