"""Calibration: temperatures that recover known ones, and thresholds that keep what they promise in every form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from fashion_udf.model import taxonomy
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.manifest import Attribute
from training.evaluation.decided import Meaning
from training.evaluation.views import ROBUSTNESS, Answers, Seen, View
from training.fitting import calibration
from training.fitting.calibration import NEVER, Form, fit_novelty, fit_temperature, fit_threshold, mixture

NOTHING = np.empty(0)


def form(confidence: list[float], hits: list[bool], unknown: list[float] | None = None) -> Form:
    return Form(np.asarray(confidence), np.asarray(hits, bool), np.asarray(unknown or [], float))


def sure(rows: int, wrong: int = 0) -> Form:
    """Rows of which the surest are right, and the least sure wrong."""
    return form(list(np.linspace(0.99, 0.5, rows)), [True] * (rows - wrong) + [False] * wrong)


# --- temperature -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 5)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1).astype(np.int32)
    scaled = logits * np.float32(temperature)
    assert fit_temperature(scaled, labels, np.ones(20_000)) == pytest.approx(temperature, rel=0.05)


def test_rows_without_a_label_change_no_temperature() -> None:
    logits, labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]] * 3, np.asarray([0, 1, 0, -1], np.int32)
    all_rows = fit_temperature(logits, labels, np.ones(4))
    assert all_rows == fit_temperature(logits[:3], labels[:3], np.ones(3))
    assert fit_temperature(logits[:0], labels[:0], np.ones(0)) == 1.0


def test_unknown_products_weigh_a_tenth() -> None:
    weights = mixture(np.asarray([True] * 3 + [False] * 30))
    assert weights[3:].sum() / weights.sum() == pytest.approx(0.1)
    assert (mixture(np.asarray([True, True])) == 1).all() and (mixture(np.asarray([False])) == 1).all()


# --- thresholds ------------------------------------------------------------------------------------------------------


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


# --- all together ----------------------------------------------------------------------------------------------------

TAXONOMY = taxonomy.build({"Tops": ["Shirts", "Tshirts"]}, ["Shirts", "Tshirts", "Belts"])
ATTRIBUTES = [Attribute(name="colour", values=["Red", "Blue"]), Attribute(name="size", values=["S", "M", "L"])]


def seen(rows: int = 2000, unknown: int = 100) -> Seen:
    """Rows of which a Shirt may be taken for a Tshirt, but neither for a Belt."""
    rng = np.random.default_rng(1)
    labels = np.concatenate([rng.integers(0, 3, rows), np.full(unknown, -1)]).astype(np.int32)
    attributes = np.stack([rng.integers(0, 2, len(labels)), rng.integers(-1, 3, len(labels))], 1).astype(np.int32)
    answers = {}
    for view in ROBUSTNESS:
        logits = rng.normal(0, 0.3, (len(labels), 4)).astype(np.float32)
        logits[np.arange(len(labels)), labels] += 6  # -1: the last one
        mixed = (labels == 0) & (rng.random(len(labels)) < 0.2)
        logits[mixed, :2] = logits[mixed, 1::-1] - [2, 2]
        values = rng.normal(0, 0.3, (len(labels), 5)).astype(np.float32)
        values[np.arange(len(labels)), attributes[:, 0]] += 5
        answers[view] = Answers(np.arange(len(labels)), Prediction(np.zeros((len(labels), 2)), logits, values))
    names = [str(row) for row in range(len(labels))]
    return Seen(names, names, names, labels, attributes, answers)


def test_each_modality_is_calibrated_for_category_parent_and_attributes() -> None:
    rows = seen()
    fitted = calibration.fit(rows, TAXONOMY, ATTRIBUTES, 0.99)
    assert fitted.keys() == {"both", "image", "text"}
    meaning = Meaning(TAXONOMY, ATTRIBUTES, fitted)
    for view in (View("text", "html"), View("both", "as_given"), View("image")):  # type: ignore[arg-type]
        decided = meaning.decide(rows, next(each for each in ROBUSTNESS if each == view))
        known = decided.known
        assert decided.category.hits[known & decided.category.auto].mean() >= 0.99
        assert decided.parent.hits[known & decided.parent.auto].mean() >= 0.99
        assert decided.parent.auto[known].mean() > decided.category.auto[known].mean(), "a family is easier to tell"
        assert decided.category.auto[~known].mean() <= 0.005
        assert decided.novel[known].mean() < 0.02
        assert decided.attributes["colour"].auto.mean() > 0.5 and not decided.attributes["size"].auto.any()


def test_a_modality_without_rows_lets_nothing_pass() -> None:
    rows = seen()
    text = {view: answers for view, answers in rows.answers.items() if view.modality == "text"}
    fitted = calibration.fit(Seen(**{**vars(rows), "answers": text}), TAXONOMY, ATTRIBUTES, 0.99)
    assert fitted["image"].category.auto == fitted["image"].parent.auto == NEVER
    assert fitted["image"].attributes["colour"].auto == NEVER
    assert (fitted["image"].category.temperature, fitted["image"].novelty) == (1.0, 1.0)
    assert fitted["text"].category.auto < 1
