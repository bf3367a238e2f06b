"""Answers beside labels: as scoring publishes them, and never right where the label is not known."""

from __future__ import annotations

import numpy as np

from fashion_udf.model import taxonomy
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.interpretation import interpret
from fashion_udf.model.manifest import Attribute, Calibrated, Calibration
from fashion_udf.schema import Modality
from training.evaluation.decided import Meaning
from training.evaluation.views import Answers, Seen, View

VIEW = View(Modality.TEXT, "as_given")
LIMITS = Calibrated(temperature=1.5, auto=0.6, review=0.4)
MEANING = Meaning(
    taxonomy.build({"Tops": ["Shirts", "Tshirts"]}, ["Shirts", "Belts", "Tshirts"]),
    [Attribute(name="colour", values=["Red", "Blue"])],
    {"text": Calibration(category=LIMITS, parent=LIMITS, attributes={"colour": LIMITS}, novelty=0.3)},
)


def seen() -> Seen:
    rng = np.random.default_rng(0)
    labels = np.asarray([0, 1, 2, -1, 9, 2], np.int32)  # the fifth row has no text
    rows = np.asarray([0, 1, 2, 3, 5])
    logits = rng.normal(0, 2, (5, 4)).astype(np.float32)
    prediction = Prediction(np.zeros((5, 2), np.float32), logits, rng.normal(0, 2, (5, 2)).astype(np.float32))
    names = [str(row) for row in range(6)]
    return Seen(
        names,
        names,
        names,
        labels,
        np.asarray([[0], [1], [-1], [0], [1], [1]], np.int32),
        {VIEW: Answers(rows, prediction)},
    )


def test_answers_are_those_of_scoring_beside_the_labels_of_their_own_rows() -> None:
    rows = seen()
    decided = MEANING.decide(rows, VIEW)
    told = interpret(rows.of(VIEW)[1], ["text"] * 5, MEANING.calibration, MEANING.attributes, MEANING.taxonomy.parents)
    assert (decided.novelty == told.novelty).all() and (decided.novel == (told.novelty > 0.3)).all()
    for answer, published in [
        (decided.category, told.category),
        (decided.parent, told.parent),
        (decided.attributes["colour"], told.attributes["colour"]),
    ]:
        assert (answer.chosen == published.choice).all() and (answer.confidence == published.confidence).all()
        assert (answer.decision == published.decision).all() and (answer.auto == (published.decision == "auto")).all()
    assert decided.category.labels.tolist() == [0, 1, 2, -1, 2]
    assert decided.parent.labels.tolist() == [0, 1, 0, -1, 0]
    assert decided.attributes["colour"].labels.tolist() == [0, 1, -1, 0, 1]
    assert decided.known.tolist() == [True, True, True, False, True]


def test_an_answer_without_a_label_is_never_right() -> None:
    decided = MEANING.decide(seen(), VIEW)
    assert not decided.category.hits[3] and not decided.parent.hits[3] and not decided.attributes["colour"].hits[2]
    assert decided.select(decided.known).category.labels.tolist() == [0, 1, 2, 2]
