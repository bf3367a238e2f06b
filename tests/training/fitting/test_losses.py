"""What the loss of a batch counts, and what it leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fashion_udf.model.architecture import build_model
from training.fitting import losses
from training.fitting.losses import Targets, batch_loss
from training.fitting.recipe import Recipe

K, VALUES, ROWS = 4, (2, 3), 6
FAMILIES = np.asarray([0, 0, 1, 2], np.int32)


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    keras.utils.set_random_seed(3)
    return build_model(K, 32, sum(VALUES))


def _loss(
    model: Any,
    labels: list[int],
    weights: dict[str, float],
    has_photo: float | list[float] = 1.0,
    attributes: int = -1,
    adjustment: Any = None,
) -> float:
    """The summed loss of rows with given labels, which all have a text of one token."""
    off = {"both": 0.0, "image": 0.0, "text": 1e-12}
    recipe = Recipe.model_validate(
        {"data": "none", "output": "none", "stages": [{"image_size": 32, "epochs": 1}], "label_smoothing": 0}
        | {"loss_weights": off | weights}
    )
    random, n = np.random.default_rng(0), len(labels)
    present = np.full(n, has_photo, np.float32) if isinstance(has_photo, float) else np.asarray(has_photo, np.float32)
    photo = random.normal(size=(n, 1280)).astype(np.float32) * present[:, None]
    text = random.normal(size=(n, 128)).astype(np.float32)
    targets = Targets(np.asarray(labels, np.int32), np.full((n, len(VALUES)), attributes, np.int32))
    summed, logits = batch_loss(model, recipe, FAMILIES, VALUES, adjustment=adjustment)(
        photo, text, np.full((n, 3), 2, np.int32), present, targets
    )
    assert logits.shape == (n, K + 1)
    return float(summed)


def test_a_text_with_the_photo_of_another_family_is_another_kind(model: Any) -> None:
    alone = _loss(model, [0, 2], {"text": 1.0})
    assert _loss(model, [0, 2], {"text": 1.0, "exchange": 1.0}) > alone + 1
    assert _loss(model, [0, 2], {"text": 1.0, "exchange": 1.0}, has_photo=0.0) == pytest.approx(alone, rel=1e-5)


def test_a_text_with_the_photo_of_its_own_family_keeps_its_category(model: Any) -> None:
    """The classifier is made to answer category 1 whatever the photo: only labels of 1 cost nothing."""
    classifier = model.get_layer("classifier")
    before = classifier.get_weights()
    classifier.set_weights([np.zeros_like(before[0]), np.asarray([0, 50, 0, 0, 0], np.float32)])
    try:
        assert _loss(model, [1, 1], {"exchange": 1.0}) == pytest.approx(0, abs=1e-3)
        assert _loss(model, [0, 1], {"exchange": 1.0}) == pytest.approx(50, abs=1e-3)  # one family: label 0 costs
        assert _loss(model, [1, 2], {"exchange": 1.0}) == pytest.approx(100, abs=1e-3)  # two: both are another kind
    finally:
        classifier.set_weights(before)


def test_two_products_of_another_kind_never_match(model: Any) -> None:
    assert _loss(model, [K, K], {"exchange": 1.0}) > 1


def test_a_row_without_a_photo_counts_nothing_by_the_photo_alone(model: Any) -> None:
    with_one = _loss(model, [0, 2], {"image": 1.0}, has_photo=[1.0, 0.0])
    assert 0 < with_one < _loss(model, [0, 2], {"image": 1.0})


def test_an_attribute_that_is_not_known_counts_nothing(model: Any) -> None:
    weights = {"both": 1.0, "attributes": 1.0}
    without = _loss(model, [0, 2], {"both": 1.0})
    assert _loss(model, [0, 2], weights, attributes=-1) == pytest.approx(without, rel=1e-6)
    assert _loss(model, [0, 2], weights, attributes=1) > without + 0.5


def test_the_loss_of_an_attribute_reads_the_logits_of_its_own_values() -> None:
    logits = np.asarray([[9, 0, 0, 0, 9], [9, 0, 0, 0, 9]], np.float32)
    values = np.asarray([[0, 2], [1, -1]], np.int32)
    right, wrong = np.asarray(losses.attribute_loss(logits, values, VALUES))
    assert right < 0.001
    assert wrong == pytest.approx(9 / 2, abs=0.01)


def test_near_rows_of_one_category_cost_less_than_near_rows_of_two() -> None:
    corners = np.eye(6, dtype=np.float32)
    embedding = np.concatenate([corners[[0, 0, 1, 1]]] * 3)  # rows 0 and 1 are near, and rows 2 and 3
    alike = np.zeros((4, 1), np.int32)

    def cost(labels: list[int]) -> float:
        targets = Targets(np.asarray(labels, np.int32), alike)
        return float(np.sum(np.asarray(losses.alike_loss(embedding, np.ones(12, np.float32), targets))))

    assert cost([0, 0, 1, 1]) < cost([0, 1, 0, 1]) - 5


def test_an_absent_row_neither_costs_nor_changes_what_others_cost() -> None:
    random = np.random.default_rng(1)
    embedding = random.normal(size=(12, 8)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    targets = Targets(np.asarray([0, 0, 1, 1], np.int32), np.zeros((4, 1), np.int32))
    present = np.ones(12, np.float32)
    present[5] = 0
    first = np.asarray(losses.alike_loss(embedding, present, targets))
    embedding[5] = -embedding[5]
    second = np.asarray(losses.alike_loss(embedding, present, targets))
    assert first[5] == 0
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_adjusted_logits_cost_a_rare_category_more_and_another_kind_as_the_mean_row() -> None:
    adjustment = losses.logit_adjustment([80, 20], 1.0)
    np.testing.assert_allclose(adjustment, [np.log(0.8), np.log(0.2), 0.8 * np.log(0.8) + 0.2 * np.log(0.2)], rtol=1e-6)
    np.testing.assert_allclose(losses.logit_adjustment([80, 20], 0.5), adjustment / 2, rtol=1e-6)
    assert not losses.logit_adjustment([80, 20], 0.0).any()


def test_adjusted_logits_that_fit_best_do_not_know_how_frequent_a_category_is() -> None:
    """Of rows that look all the same the categories differ by their shares alone: the logits that fit are equal."""
    labels, counts = np.asarray([0] * 8 + [1] * 2), [8, 2]
    adjustment = losses.logit_adjustment(counts, 1.0)[:2]

    def cost(rarer: float) -> float:
        logits = np.tile(np.asarray([0.0, rarer], np.float32) + adjustment, (10, 1))
        return float(np.sum(np.asarray(losses.cross_entropy(logits, labels))))

    assert cost(0.0) < min(cost(-0.05), cost(0.05))


def test_the_adjustment_counts_in_the_loss_and_not_in_the_logits_that_are_returned(model: Any) -> None:
    adjustment = np.asarray([-5, 0, 0, 0, 0], np.float32)
    rare = _loss(model, [0, 0], {"both": 1.0}, adjustment=adjustment) - _loss(model, [0, 0], {"both": 1.0})
    frequent = _loss(model, [1, 1], {"both": 1.0}, adjustment=adjustment) - _loss(model, [1, 1], {"both": 1.0})
    assert rare > 5 and frequent < 0
