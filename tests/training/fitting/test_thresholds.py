"""Thresholds keep what they promise in every form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from training.fitting.thresholds import NEVER, Form, fit_novelty, fit_threshold

NOTHING = np.empty(0)


def form(confidence: list[float], hits: list[bool], unknown: list[float] | None = None) -> Form:
    return Form(np.asarray(confidence), np.asarray(hits, bool), np.asarray(unknown or [], float))


def sure(rows: int, wrong: int = 0) -> Form:
    """Rows of which the surest are right, and the least sure wrong."""
    return form(list(np.linspace(0.99, 0.5, rows)), [True] * (rows - wrong) + [False] * wrong)


def test_the_threshold_is_the_lowest_that_shows_the_target() -> None:
    assert fit_threshold([sure(300)], 0.99) == pytest.approx(0.5)
    threshold = fit_threshold([sure(400, wrong=40)], 0.99)
    kept = np.linspace(0.99, 0.5, 400) >= threshold
    assert beta.ppf(0.5, 360, kept.sum() - 360 + 1) >= 0.99
    assert beta.ppf(0.5, 360, kept.sum() - 360 + 2) < 0.99


def test_too_few_rows_show_no_target() -> None:
    assert fit_threshold([sure(68)], 0.99) == NEVER  # 0.5 ** (1 / 69) of 69 would do
    assert fit_threshold([sure(69)], 0.99) != NEVER
    assert fit_threshold([], 0.99) == fit_threshold([form([], [])], 0.99) == NEVER


def test_the_worst_form_decides() -> None:
    easy, hard = sure(400), sure(400, wrong=100)
    threshold = fit_threshold([easy, hard], 0.99)
    assert threshold > fit_threshold([easy], 0.99)
    assert hard.hits[hard.confidence >= threshold].mean() >= 0.99
    assert hard.hits[hard.confidence >= threshold - 0.01].mean() < 0.99


def test_a_form_of_which_few_rows_are_sure_does_not_forbid_auto_to_others() -> None:
    few = form([0.9] * 50 + [0.1] * 350, [True] * 50 + [False] * 350)
    assert fit_threshold([sure(400), sure(400), few], 0.99) == pytest.approx(0.5, abs=0.01)


def test_forms_of_the_same_rows_show_no_more_than_the_rows() -> None:
    assert fit_threshold([sure(60)] * 12, 0.99) == NEVER


def test_unknown_products_raise_the_threshold() -> None:
    unknown = form(list(np.linspace(0.99, 0.5, 1000)), [True] * 1000, [0.8] * 10)
    threshold = fit_threshold([unknown], 0.99)
    assert 0.8 < threshold < 0.802
    one = form(list(np.linspace(0.99, 0.5, 400)), [True] * 400, [0.8])
    assert fit_threshold([one], 0.99) == pytest.approx(0.5), "one product may pass where they are few"


def test_rows_that_are_never_auto_count_neither_as_right_nor_as_wrong() -> None:
    novel = form([*np.linspace(0.99, 0.5, 300), *[-1.0] * 100], [True] * 300 + [False] * 100)
    assert fit_threshold([novel], 0.99) == pytest.approx(0.5)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=60), min_size=1, max_size=4),
    st.sampled_from([0.5, 0.7, 0.9]),
)
def test_every_form_keeps_what_is_promised(rows: list[list[tuple[int, bool]]], target: float) -> None:
    forms = [form([step / 40 for step, _ in each], [hit for _, hit in each]) for each in rows]
    threshold = fit_threshold(forms, target)
    for each in forms:
        taken = each.confidence >= threshold
        right, wrong = (each.hits & taken).sum(), (~each.hits & taken).sum()
        assert right >= target * (right + wrong) - 1e-9


def test_at_most_one_in_a_hundred_known_rows_is_novel() -> None:
    novelty = np.linspace(0, 1, 1001)
    assert (novelty > fit_novelty(novelty)).mean() <= 0.01
    assert fit_novelty(NOTHING) == 1.0
