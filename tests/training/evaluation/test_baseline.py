"""The baseline: it reads words of any length, chooses on the validation split, and keeps the model's categories."""

from __future__ import annotations

import numpy as np
import pytest

from fashion_udf.errors import CatalogError
from training.evaluation import baseline
from training.evaluation.baseline import Titles

TRAIN = Titles(
    ["Red shirt", "Blue shirt", "Red shoe", "Blue shoe", "Of no known category"], np.asarray([0, 0, 3, 3, -1], np.int32)
)


def test_titles_are_told_apart_and_a_category_that_was_not_seen_gets_probability_0() -> None:
    fitted = baseline.fit(TRAIN, TRAIN, categories=5)
    probabilities = fitted.probabilities(["Green shirt", "Green shoe"])
    assert probabilities.argmax(axis=1).tolist() == [0, 3]
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert not probabilities[:, [1, 2, 4]].any()


def test_of_equally_good_choices_the_first_is_taken_and_a_better_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert baseline.fit(TRAIN, TRAIN, 5).regularisation == baseline.CHOICES[0]
    # Almost unregularised, two rows of three decide against the word; strongly regularised, the majority wins.
    train = Titles(["a x", "b x", "c x", "d y"], np.asarray([0, 0, 0, 1], np.int32))
    validation = Titles(["d y"], np.asarray([1], np.int32))
    monkeypatch.setattr(baseline, "CHOICES", (1e-6, 100.0))
    assert baseline.fit(train, validation, 2).regularisation == 100.0


def test_words_of_one_letter_and_pairs_of_words_count() -> None:
    vocabulary = set(baseline.fit(TRAIN, TRAIN, 5).vectorizer.vocabulary_)
    assert {"red", "red shirt"} <= vocabulary
    letters = Titles(["T shirt", "U shirt"], np.asarray([0, 1], np.int32))
    fitted = baseline.fit(letters, letters, 2)
    assert fitted.probabilities(["U"]).argmax() == 1


def test_no_titles_have_no_probabilities() -> None:
    fitted = baseline.fit(TRAIN, Titles([], np.zeros(0, np.int32)), 5)
    assert fitted.probabilities([]).shape == (0, 5)


@pytest.mark.parametrize(
    ("titles", "labels", "received"),
    [
        (["a", "b"], [1, 1], "2 rows, 1 categories"),
        (["a", "b"], [1, -1], "1 rows, 1 categories"),
        (["", "!?"], [0, 1], "2 rows, 2 categories"),
    ],
)
def test_titles_that_cannot_be_learned_from_are_refused(titles: list[str], labels: list[int], received: str) -> None:
    unusable = Titles(titles, np.asarray(labels, np.int32))
    with pytest.raises(CatalogError, match=rf"of at least two categories .*\(--no-baseline .*Received: {received}"):
        baseline.fit(unusable, unusable, 2)
