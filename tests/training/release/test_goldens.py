"""Golden rows: those on which every precision is decisive and agrees, of several categories and every modality."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fashion_udf.model.engines import golden
from fashion_udf.model.engines.golden import Inputs
from fashion_udf.model.engines.prediction import Prediction
from tests import fake_bundle
from training.release import goldens

MANIFEST = fake_bundle.manifest()
INPUTS = Inputs(
    np.zeros((goldens.DRAWN, 8, 8, 3), np.uint8),
    np.asarray([[goldens._HAS_PHOTO[row % 4]] for row in range(goldens.DRAWN)], np.float32),
    np.asarray([[goldens._HAS_TEXT[row % 4]] for row in range(goldens.DRAWN)], np.int32),
)


def prediction(lead: NDArray[np.float64], shift: NDArray[np.float64] | float = 0.0) -> Prediction:
    """Rows of alternating categories, whose logits are `lead` apart."""
    best = np.arange(goldens.DRAWN) // 4 % 2
    logits = np.zeros((goldens.DRAWN, 3), np.float32)
    logits[np.arange(goldens.DRAWN), best] = lead
    embedding = np.zeros((goldens.DRAWN, 256), np.float32) + np.reshape(shift, (-1, 1))
    return Prediction(embedding.astype(np.float32), logits, np.zeros((goldens.DRAWN, 2), np.float32))


def test_rows_on_which_a_precision_is_undecided_are_left_out() -> None:
    lead, other = np.full(goldens.DRAWN, 9.0), np.full(goldens.DRAWN, 9.0)
    lead[:32] = 0.1
    other[32:64] = 0.1
    rows = goldens._suited(prediction(lead), [prediction(other)], INPUTS, MANIFEST)
    assert len(set(rows)) == goldens.ROWS and min(rows) >= 64


def test_of_decisive_rows_those_are_kept_that_precisions_agree_on_best() -> None:
    lead, shift = np.full(goldens.DRAWN, 9.0), np.full(goldens.DRAWN, 0.1)
    shift[64:96] = 0.01
    rows = goldens._suited(prediction(lead), [prediction(lead, shift)], INPUTS, MANIFEST)
    assert all(64 <= row < 96 for row in rows)
    categories = [row // 4 % 2 for row in rows]
    assert categories.count(0) == categories.count(1)


def test_a_row_that_a_precision_answers_otherwise_comes_last() -> None:
    lead = np.full(goldens.DRAWN, 9.0)
    other = prediction(lead)
    other.logits[16:] = other.logits[16:, [1, 0, 2]]
    rows = goldens._suited(prediction(lead), [other], INPUTS, MANIFEST)
    assert sorted(rows) == list(range(16))


def test_the_rows_run_at_start_hold_every_modality() -> None:
    rows = goldens._suited(prediction(np.full(goldens.DRAWN, 9.0)), [], INPUTS, MANIFEST)
    kinds = [(goldens._HAS_PHOTO[row % 4], goldens._HAS_TEXT[row % 4]) for row in rows[: golden.START_ROWS]]
    assert kinds == [(True, True), (True, True), (True, False), (False, True)] * 2


def test_an_engine_that_yields_nan_does_not_stop_the_choice() -> None:
    lead = np.full(goldens.DRAWN, 9.0)
    nothing = Prediction(*(np.full_like(part, np.nan) for part in vars(prediction(lead)).values()))
    with np.errstate(invalid="ignore"):
        assert len(goldens._suited(prediction(lead), [nothing], INPUTS, MANIFEST)) == goldens.ROWS


@pytest.mark.parametrize("row", range(12))
def test_titles_and_pictures_are_the_same_each_time(row: int) -> None:
    assert goldens._title(row) == goldens._title(row) and len(goldens._title(row).split()) >= 3
    assert goldens._picture(row, 32) == goldens._picture(row, 32)
