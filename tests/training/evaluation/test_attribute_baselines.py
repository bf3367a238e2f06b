"""Baselines of attributes: fitted to the train split, measured where a value is known."""

from __future__ import annotations

import numpy as np

from training.evaluation.attribute_baselines import LabelledTitles, accuracies

TRAIN = LabelledTitles(
    ["red shirt", "red belt", "blue blue blue", "red tie"], np.asarray([[0, -1], [0, -1], [1, -1], [0, -1]], np.int32)
)


def test_titles_tell_what_the_most_frequent_value_cannot() -> None:
    test = LabelledTitles(["blue sock", "red cap", "old tie"], np.asarray([[1, 0], [0, 0], [-1, 0]], np.int32))
    colour, size = accuracies(TRAIN, TRAIN, test, [2, 2])
    assert colour == {"most_frequent": 0.5, "titles": 1.0}
    assert size == {"most_frequent": None, "titles": None}, "the train split knows no value of it"


def test_a_single_value_and_rows_without_a_value_have_nothing_to_tell() -> None:
    one = LabelledTitles(["red shirt", "red belt"], np.zeros((2, 1), np.int32))
    assert accuracies(one, one, one, [2]) == [{"most_frequent": 1.0, "titles": None}]
    none = LabelledTitles(["red shirt"], np.full((1, 1), -1, np.int32))
    assert accuracies(one, one, none, [2]) == [{"most_frequent": None, "titles": None}]
