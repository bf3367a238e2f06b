"""Figures: those of scikit-learn where it has them, and right at the borders where it has not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.evaluation import measures
from training.evaluation.decided import Answer

CATEGORIES = 4
rows = st.lists(st.tuples(st.integers(0, CATEGORIES - 1), st.integers(0, CATEGORIES - 1)), min_size=1, max_size=60)
sure = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def _labels_and_scores(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    labels, predicted = np.asarray(pairs).T
    return labels.astype(np.int32), np.eye(CATEGORIES, dtype=np.float32)[predicted]


def _sure(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    confidence, hits = zip(*pairs, strict=True)
    return np.asarray(confidence, np.float64), np.asarray(hits, bool)


@given(rows)
def test_macro_figures_are_means_over_the_categories_that_have_rows(pairs: list[tuple[int, int]]) -> None:
    labels, scores = _labels_and_scores(pairs)
    each = precision_recall_fscore_support(labels, scores.argmax(1), labels=np.unique(labels), zero_division=0.0)
    figures = measures.classification(labels, scores)
    for name, values in zip(("precision", "recall", "f1"), each, strict=False):
        assert figures[f"macro_{name}"] == pytest.approx(np.mean(values))
        assert figures[name] == pytest.approx(np.average(values, weights=each[3]))
    assert figures["accuracy"] == pytest.approx(figures["recall"])


def test_the_third_best_counts_for_top3_and_the_fourth_does_not() -> None:
    scores = np.asarray([[4, 3, 2, 1]] * 2, np.float32)
    assert measures.classification(np.asarray([2, 3], np.int32), scores)["top3"] == 0.5


def test_without_rows_their_number_is_the_only_figure() -> None:
    none = np.zeros(0, np.int32), np.zeros((0, 4), np.float32)
    assert measures.classification(*none) == {"rows": 0.0}


@given(sure, st.integers(1, 20))
def test_bins_hold_every_row_once_and_the_error_lies_between_0_and_1(
    pairs: list[tuple[float, bool]], count: int
) -> None:
    confidence, hits = _sure(pairs)
    bins = measures.reliability(confidence, hits, count)
    assert len(bins) == count
    assert sum(part.rows for part in bins if part) == len(pairs)
    for number, part in enumerate(bins):
        assert part is None or number / count - 1e-9 <= part.confidence <= (number + 1) / count + 1e-9
    assert 0 <= measures.calibration_error(confidence, hits, count) <= 1


def test_the_calibration_error_is_the_gap_weighted_by_rows() -> None:
    confidence, hits = np.asarray([0.9, 0.9, 0.9, 0.2]), np.asarray([True, True, False, False])
    assert measures.calibration_error(confidence, hits) == pytest.approx(0.75 * (0.9 - 2 / 3) + 0.25 * 0.2)


def test_a_confidence_on_a_border_belongs_to_the_bin_below_it() -> None:
    bins = measures.reliability(np.asarray([0.0, 0.5, 1.0]), np.ones(3, bool), 2)
    assert [part and part.rows for part in bins] == [2, 1]


def test_rows_weigh_what_they_are_said_to_in_the_calibration_error() -> None:
    confidence, hits = np.asarray([0.9, 0.2]), np.asarray([True, False])
    assert measures.calibration_error(confidence, hits, weights=np.asarray([3.0, 1.0])) == pytest.approx(0.125)
    assert measures.calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


def test_precision_is_of_the_auto_rows_and_absent_where_none_is() -> None:
    decision = np.asarray(["auto", "auto", "review", "abstain"], object)
    labels, chosen = np.asarray([0, 0, 0, 0], np.int32), np.asarray([0, 1, 0, 0])
    answer = Answer(labels, chosen, np.asarray([0.9, 0.8, 0.7, 0.1]), decision)
    found = measures.answers(answer)
    assert (found["auto_share"], found["auto_precision"]) == (0.5, 0.5)
    assert found["ece"] == pytest.approx(measures.calibration_error(answer.confidence, answer.hits))
    assert "auto_precision" not in measures.answers(answer.select(decision != "auto"))
    assert measures.answers(answer.select(decision == "none")) == {}


@given(rows)
def test_the_confusion_matrix_and_the_figures_by_category_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    labels, scores = _labels_and_scores(pairs)
    predicted = scores.argmax(1)
    matrix = measures.confusion_matrix(labels, predicted, CATEGORIES)
    assert np.array_equal(matrix, confusion_matrix(labels, predicted, labels=range(CATEGORIES)))
    categories = measures.by_category(matrix, "abcd")
    present = np.unique(labels)
    assert [row.category for row in categories] == ["abcd"[index] for index in present]
    expected = precision_recall_fscore_support(labels, predicted, labels=present, zero_division=0.0)
    for row, *values in zip(categories, *expected, strict=True):
        assert [row.precision, row.recall, row.f1, row.rows] == pytest.approx(values)


def test_the_commonest_confusion_is_named_and_is_empty_where_all_is_right() -> None:
    matrix = np.asarray([[5, 1, 3], [0, 2, 0], [0, 0, 0]])
    first, second = measures.by_category(matrix, ["Shirts", "Belts", "Ties"])
    assert (first.confusion, first.confused_rows) == ("Ties", 3)
    assert (second.confusion, second.confused_rows) == ("", 0)
