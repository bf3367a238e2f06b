"""Calibration: temperatures that recover known ones, and answers of every modality and precision."""

from __future__ import annotations

import numpy as np
import pytest

from fashion_udf.model import taxonomy
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.manifest import Attribute
from fashion_udf.schema import Modality
from training.evaluation.decided import Meaning
from training.evaluation.views import ROBUSTNESS, Answers, Seen, View
from training.fitting import calibration
from training.fitting.calibration import fit_temperature, mixture
from training.fitting.thresholds import NEVER

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
    fitted = calibration.fit({"f32": rows}, TAXONOMY, ATTRIBUTES, 0.99)["f32"]
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
    fitted = calibration.fit({"f32": Seen(**{**vars(rows), "answers": text})}, TAXONOMY, ATTRIBUTES, 0.99)["f32"]
    assert fitted["image"].category.auto == fitted["image"].parent.auto == NEVER
    assert fitted["image"].attributes["colour"].auto == NEVER
    assert (fitted["image"].category.temperature, fitted["image"].novelty) == (1.0, 1.0)
    assert fitted["text"].category.auto < 1


def test_precisions_have_temperatures_of_their_own_and_thresholds_that_hold_in_each() -> None:
    exact, rough = seen(), seen()
    for view, answers in rough.answers.items():
        noise = np.random.default_rng(2).normal(0, 1, answers.prediction.logits.shape)
        logits = (answers.prediction.logits * 2 + noise).astype(np.float32)
        prediction = Prediction(answers.prediction.embedding, logits, answers.prediction.attributes)
        rough.answers[view] = Answers(answers.rows, prediction)  # type: ignore[index]
    fitted = calibration.fit({"f32": exact, "int8": rough}, TAXONOMY, ATTRIBUTES, 0.99)
    f32, int8 = (fitted[precision]["text"].category for precision in ("f32", "int8"))
    assert f32.auto == int8.auto and int8.temperature > 1.5 * f32.temperature
    assert fitted["f32"]["text"].novelty == fitted["int8"]["text"].novelty
    alone = calibration.fit({"int8": rough}, TAXONOMY, ATTRIBUTES, 0.99)["int8"]["text"]
    assert f32.auto >= alone.category.auto
    for precision, rows in (("f32", exact), ("int8", rough)):
        decided = Meaning(TAXONOMY, ATTRIBUTES, fitted[precision]).decide(rows, View(Modality.TEXT, "html"))
        assert decided.category.hits[decided.known & decided.category.auto].mean() >= 0.99
