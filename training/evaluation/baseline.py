"""The baseline: a classifier of titles with TF-IDF of words and a logistic regression.

A published bundle must be better than the baseline, because otherwise its text branch only counts words.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from fashion_udf.errors import CatalogError

logger = logging.getLogger(__name__)

#: Inverse strengths of regularisation to try on the validation split. The first of equally good ones is chosen.
CHOICES = (1.0, 10.0, 100.0)
#: Words may have one letter: the vectorizer's default pattern drops the "T" of "T Shirt".
_WORD = re.compile(r"\b\w+\b")


@dataclass(frozen=True)
class Titles:
    """Labelled titles: n strings, and indexes of categories int32[n]. Rows with a negative index are ignored."""

    titles: Sequence[str]
    labels: NDArray[np.int32]

    def known(self) -> tuple[list[str], NDArray[np.int32]]:
        """Return the rows whose category is known."""
        kept = self.labels >= 0
        return [title for title, keep in zip(self.titles, kept, strict=True) if keep], self.labels[kept]


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline."""

    regularisation: float  # the C that was chosen
    vectorizer: TfidfVectorizer
    classifier: LogisticRegression
    categories: int

    def probabilities(self, titles: Sequence[str]) -> NDArray[np.float64]:
        """Return float64[n, K]. A category without a row in the training split has probability 0."""
        table = np.zeros((len(titles), self.categories))
        if len(titles) == 0:  # which the classifier refuses
            return table
        table[:, self.classifier.classes_] = self.classifier.predict_proba(self.vectorizer.transform(titles))
        return table


def fit(train: Titles, validation: Titles, categories: int) -> Baseline:
    """Fit on the training split for every C of `CHOICES`, and keep the best one on the validation split.

    Raises:
        CatalogError: the training titles have no word, or fewer than two categories.
    """
    titles, labels = train.known()
    if len(np.unique(labels)) < 2 or not any(_WORD.search(title) for title in titles):
        raise CatalogError(
            "Expected titles of at least two categories in the train split, for the baseline (--no-baseline leaves it "
            f"out). Received: {len(titles)} rows, {len(np.unique(labels))} categories"
        )
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD.pattern)
    features = vectorizer.fit_transform(titles)
    validation_titles, validation_labels = validation.known()
    best, best_hits = None, -1
    for choice in CHOICES:
        classifier = LogisticRegression(C=choice, max_iter=2000).fit(features, labels)
        baseline = Baseline(choice, vectorizer, classifier, categories)
        hits = int((baseline.probabilities(validation_titles).argmax(axis=1) == validation_labels).sum())
        logger.info("baseline, C = %g: %d of %d validation rows right", choice, hits, len(validation_labels))
        if hits > best_hits:
            best, best_hits = baseline, hits
    assert best is not None  # no count of hits is below 0
    return best
