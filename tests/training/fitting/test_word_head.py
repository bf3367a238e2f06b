"""The words of a title as a second task: what counts, and that a photo's features learn them."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
word_head = pytest.importorskip("training.fitting.word_head")

VOCABULARY = 8


def _loss(logits: list[float], *ids: int) -> float:
    return float(word_head.word_loss(tf.constant([logits]), tf.constant([ids], tf.int32))[0])


def test_the_loss_is_the_cross_entropy_of_the_words_all_equally_likely() -> None:
    logits = np.random.default_rng(0).normal(size=VOCABULARY)
    log_probabilities = logits - np.log(np.exp(logits).sum())
    assert _loss(logits.tolist(), 3, 5, 6) == pytest.approx(-log_probabilities[[3, 5, 6]].mean(), rel=1e-5)


def test_a_repeated_word_counts_once_and_padding_and_unknown_words_do_not() -> None:
    logits = np.linspace(-1, 1, VOCABULARY).tolist()
    assert _loss(logits, 3, 3, 5, 1, 0, 0) == pytest.approx(_loss(logits, 3, 5), rel=1e-6)


def test_words_after_the_title_do_not_count() -> None:
    logits = np.linspace(-1, 1, VOCABULARY).tolist()
    title = [2] * word_head.TITLE_TOKENS
    assert _loss(logits, *title, 7) == pytest.approx(_loss(logits, 2), rel=1e-6)


def test_a_row_without_words_costs_nothing() -> None:
    assert _loss([1.0] * VOCABULARY, 0, 1, 0) == 0


def test_photo_features_learn_the_words_that_go_with_them() -> None:
    head = word_head.build_word_head(2, VOCABULARY)
    features, ids = tf.eye(2), tf.constant([[2, 3], [4, 0]], tf.int32)
    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(word_head.word_loss(head(features), ids))
        for variable, gradient in zip(head.variables, tape.gradient(loss, head.variables), strict=True):
            variable.assign_sub(0.5 * gradient)
    best = np.argsort(-head(features).numpy(), axis=1)
    assert set(best[0, :2]) == {2, 3} and best[1, 0] == 4
