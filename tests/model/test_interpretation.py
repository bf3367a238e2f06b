"""What a model's outputs mean, in figures worked out by hand, and what holds of any outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from fashion_udf.model.engines.prediction import Prediction, calibrated
from fashion_udf.model.interpretation import Interpretation, interpret, parent_probabilities
from fashion_udf.model.manifest import Attribute, Calibrated, Calibration

ATTRIBUTES = [
    Attribute(name="gender", values=["Men", "Women"]),
    Attribute(name="colour", values=["Red", "Blue", "Tan"]),
]
#: Three categories: the first and the last are of one family.
PARENTS = np.asarray([0, 1, 0])


def _calibration(novelty: float = 0.25, parent: float = 1.0, **temperatures: float) -> dict[str, Calibration]:
    def limits(temperature: float) -> Calibrated:
        return Calibrated(temperature=temperature, auto=0.75, review=0.5)

    return {
        modality: Calibration(
            category=limits(temperature),
            parent=limits(parent),
            attributes={attribute.name: limits(temperature) for attribute in ATTRIBUTES},
            novelty=novelty,
        )
        for modality, temperature in ({"both": 1.0, "text": 0.5} | temperatures).items()
    }


def _prediction(*shares: list[float], values: list[float] | None = None) -> Prediction:
    """A prediction whose softmax is these shares of the categories and of another kind."""
    rows = len(shares)
    attributes = np.log(np.asarray([values or [0.5, 0.5, 0.2, 0.3, 0.5]] * rows, np.float32))
    with np.errstate(divide="ignore"):
        logits = np.log(np.asarray(shares, np.float32))
    return Prediction(np.zeros((rows, 256), np.float32), np.maximum(logits, -1e4), attributes)


def _meaning(*shares: list[float], values: list[float] | None = None, **changes: float) -> Interpretation:
    prediction = _prediction(*shares, values=values)
    return interpret(prediction, ["both"] * len(shares), _calibration(**changes), ATTRIBUTES, PARENTS)


def test_another_kind_lowers_the_confidence_and_is_never_the_category() -> None:
    meaning = _meaning([0.2, 0.1, 0.1, 0.6])
    assert meaning.category.choice.tolist() == [0]
    assert meaning.category.confidence.tolist() == pytest.approx([0.2])
    assert meaning.novelty.tolist() == pytest.approx([0.6])


@pytest.mark.parametrize(
    ("shares", "decision"),
    [
        ([0.8, 0.1, 0.1, 0.0], "auto"),
        ([0.75, 0.0, 0.0, 0.25], "auto"),  # at both limits
        ([0.6, 0.3, 0.1, 0.0], "review"),
        ([0.4, 0.3, 0.3, 0.0], "abstain"),
        ([0.4, 0.2, 0.1, 0.3], "review"),  # a person must look at a novel product
    ],
)
def test_a_category_is_decided_by_its_confidence_and_the_novelty(shares: list[float], decision: str) -> None:
    assert _meaning(shares).category.decision.tolist() == [decision]


def test_nothing_is_auto_beyond_the_threshold_of_novelty() -> None:
    sure = {"shares": [0.85, 0.0, 0.0, 0.15], "values": [0.9, 0.1, 0.9, 0.05, 0.05]}
    for threshold, decision in ((0.2, "auto"), (0.1, "review")):
        meaning = _meaning(sure["shares"], values=sure["values"], novelty=threshold)
        answers = [meaning.category, meaning.parent, *meaning.attributes.values()]
        assert [answer.decision[0] for answer in answers] == [decision] * 4


def test_a_family_has_the_sum_of_its_categories_sharpened_by_its_own_temperature() -> None:
    shares = [0.3, 0.2, 0.4, 0.1]
    plain, sharp = _meaning(shares).parent, _meaning(shares, parent=0.5).parent
    assert (plain.choice.tolist(), plain.decision.tolist()) == ([0], ["review"])
    assert plain.confidence.tolist() == pytest.approx([0.7])
    assert sharp.confidence.tolist() == pytest.approx([0.49 / (0.49 + 0.04 + 0.01)])
    assert sharp.decision.tolist() == ["auto"]


def test_a_family_may_be_another_than_that_of_the_best_category() -> None:
    meaning = _meaning([0.3, 0.35, 0.3, 0.05])
    assert (meaning.category.choice.tolist(), meaning.parent.choice.tolist()) == ([1], [0])


def test_a_sharp_temperature_leaves_many_even_families_even() -> None:
    even = np.full((1, 51), 1 / 51, np.float32)
    assert parent_probabilities(even, np.arange(50), 0.001).tolist() == [pytest.approx([1 / 51] * 51)]


def test_each_attribute_has_its_own_values_confidence_and_decision() -> None:
    meaning = _meaning([0.9, 0.05, 0.05, 0.0], values=[0.1, 0.9, 0.2, 0.2, 0.6])
    gender, colour = meaning.attributes["gender"], meaning.attributes["colour"]
    assert (gender.choice.tolist(), gender.decision.tolist()) == ([1], ["auto"])
    assert (colour.choice.tolist(), colour.decision.tolist()) == ([2], ["review"])
    assert colour.confidence.tolist() == pytest.approx([0.6])
    assert meaning.attribute_probabilities[0].tolist() == pytest.approx([0.1, 0.9, 0.2, 0.2, 0.6])


def test_each_row_is_calibrated_as_its_modality() -> None:
    shares = [0.6, 0.2, 0.2, 0.0]
    meaning = interpret(_prediction(shares, shares), ["text", "both"], _calibration(), ATTRIBUTES, PARENTS)
    assert meaning.category.confidence.tolist() == pytest.approx([0.36 / 0.44, 0.6])
    assert meaning.category.decision.tolist() == ["auto", "review"]


def test_a_model_without_attributes_tells_none() -> None:
    prediction = Prediction(np.zeros((2, 256), np.float32), np.zeros((2, 4), np.float32), np.empty((2, 0), np.float32))
    meaning = interpret(prediction, ["both", "text"], _calibration(), [], PARENTS)
    assert meaning.attributes == {} and meaning.attribute_probabilities.shape == (2, 0)


def test_no_rows_and_rows_with_nan_pass() -> None:
    nothing = Prediction(*(np.empty((0, width), np.float32) for width in (256, 4, 5)))
    assert len(interpret(nothing, [], _calibration(), ATTRIBUTES, PARENTS).category.choice) == 0
    broken = Prediction(*(np.full((1, width), np.nan, np.float32) for width in (256, 4, 5)))
    meaning = interpret(broken, ["both"], _calibration(), ATTRIBUTES, PARENTS)
    assert meaning.category.decision.tolist() == meaning.parent.decision.tolist() == ["abstain"]
    assert np.isnan(meaning.category.confidence).all()


LOGITS = arrays.arrays(np.float32, (4, 4), elements=st.floats(-1e4, 1e4, width=32))
TEMPERATURES = st.floats(0.01, 100)


@given(LOGITS, TEMPERATURES)
def test_probabilities_of_families_sum_to_one_and_keep_their_order(
    logits: NDArray[np.float32], temperature: float
) -> None:
    probabilities = calibrated(logits, 1.0)
    plain = parent_probabilities(probabilities, PARENTS, 1.0)
    sharpened = parent_probabilities(probabilities, PARENTS, temperature)
    np.testing.assert_allclose(sharpened.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(plain[:, -1], probabilities[:, -1], atol=1e-6)
    best = np.take_along_axis(sharpened, plain.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(best, sharpened.max(axis=1), atol=1e-6)


@given(LOGITS, TEMPERATURES, st.floats(0, 1))
def test_a_row_means_the_same_alone_and_among_others(
    logits: NDArray[np.float32], temperature: float, novelty: float
) -> None:
    modalities = ["both", "text", "image", "text"]
    calibration = _calibration(novelty, parent=temperature, image=temperature)
    attributes = np.concatenate([logits, logits[:, :1]], axis=1)
    prediction = Prediction(np.zeros((4, 256), np.float32), logits, attributes)
    together = interpret(prediction, modalities, calibration, ATTRIBUTES, PARENTS)
    for row in range(4):
        one = Prediction(prediction.embedding[[row]], logits[[row]], attributes[[row]])
        alone = interpret(one, modalities[row : row + 1], calibration, ATTRIBUTES, PARENTS)
        for answer, among in (
            (alone.category, together.category),
            (alone.parent, together.parent),
            *((alone.attributes[name], together.attributes[name]) for name in together.attributes),
        ):
            assert answer.choice[0] == among.choice[row] and answer.decision[0] == among.decision[row]
            assert answer.confidence[0] == among.confidence[row]
        is_novel = together.novelty[row] > novelty
        assert not (is_novel and together.parent.decision[row] != "review")
