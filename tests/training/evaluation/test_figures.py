"""Figures of a split: of known rows, in every form, with parents, attributes and unknown products; JSON values."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fashion_udf.model import taxonomy
from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.manifest import Attribute, Calibrated, Calibration
from training.evaluation import figures
from training.evaluation.decided import Meaning
from training.evaluation.views import MISMATCHED, PHOTO, Answers, Seen

SURE = Calibrated(temperature=1.0, auto=0.9, review=0.5)
CALIBRATION = Calibration(category=SURE, parent=SURE, attributes={"colour": SURE}, novelty=0.5)
MEANING = Meaning(
    taxonomy.build({"Tops": ["Shirts", "Tshirts"]}, ["Shirts", "Tshirts", "Belts"]),
    [Attribute(name="colour", values=["Red", "Blue"])],
    dict.fromkeys(["both", "image", "text"], CALIBRATION),
)
#: The fourth row is a Tshirt that the model takes for a Shirt; the last one is an unknown product.
LABELS, CHOSEN = np.asarray([0, 1, 2, 1, -1], np.int32), [0, 1, 2, 0, 3]


def answers(chosen: list[int]) -> Answers:
    logits = np.eye(4, dtype=np.float32)[chosen] * 9
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(len(chosen), 8)).astype(np.float32)
    return Answers(
        np.arange(len(chosen)), Prediction(embedding, logits, np.asarray([[9, 0]] * len(chosen), np.float32))
    )


def seen() -> Seen:
    told = {view: answers(CHOSEN) for view in figures.VIEWS} | {MISMATCHED: answers([3, 3, 3, 0, 3])}
    names = [str(row) for row in range(5)]
    return Seen(names, names, names, LABELS, np.asarray([[0], [1], [-1], [0], [1]], np.int32), told)


def odd() -> Seen:
    return Seen(["o"], [""], ["other"], np.asarray([-1], np.int32), np.asarray([[-1]], np.int32), {PHOTO: answers([0])})


def test_figures_are_of_known_rows_in_every_form() -> None:
    found = figures.measure(seen(), MEANING, odd())
    assert (found["rows"], found["unknown_rows"]) == (4, 1)
    assert found["as_given"]["both"]["accuracy"] == 0.75 and found["as_given"]["both"]["rows"] == 4
    assert found["as_given"]["text"]["intervals"].keys() == {"accuracy", "precision", "recall", "f1"}
    assert found["forms"].keys() == {"image", "both", "text"} and len(found["forms"]["both"]) == 12
    html = found["forms"]["text"]["html"]
    assert (html["accuracy"], html["auto_share"], html["auto_precision"]) == (0.75, 1.0, 0.75)
    assert html["accuracy_interval"][0] < 0.75 < html["accuracy_interval"][1]
    assert found["forms"]["image"].keys() == {"no_text"}
    assert found["parents"]["text"]["html"]["accuracy"] == 1.0, "a Shirt is a Top as a Tshirt is"


def test_attributes_are_judged_with_titles_alone_where_their_value_is_known() -> None:
    colour = figures.measure(seen(), MEANING)["attributes"]["colour"]
    assert colour.keys() == {"both", "image", "text"}
    assert colour["text"]["rows"] == 3 and colour["text"]["accuracy"] == pytest.approx(2 / 3)


def test_unknown_products_are_of_three_kinds() -> None:
    novelty = figures.measure(seen(), MEANING, odd())["novelty"]
    assert novelty["text"].keys() == {"other_products"}
    assert novelty["both"].keys() == {"other_products", "photo_and_title_of_two_products"}
    assert novelty["image"].keys() == {"other_products", "odd_photos"}
    assert novelty["text"]["other_products"]["auroc"] == 1.0
    assert novelty["both"]["photo_and_title_of_two_products"]["auto_share_of_unknown"] == 0.2
    assert novelty["image"]["odd_photos"]["auto_share_of_unknown"] == 1.0
    assert figures.measure(seen(), MEANING)["novelty"]["image"].keys() == {"other_products"}


def test_scores_of_novelty_are_compared_for_titles_and_for_mismatched_photos() -> None:
    compared = figures.compared_novelty(seen(), MEANING)
    assert compared.keys() == {"text, title_alone", "both, another_product"}
    assert compared["text, title_alone"]["probability of another kind"] == 1.0


def test_a_catalog_without_photos_has_figures_of_its_texts() -> None:
    rows = seen()
    texts = {view: told for view, told in rows.answers.items() if view.modality == "text"}
    found = figures.measure(Seen(**{**vars(rows), "answers": texts}), MEANING)
    assert found["as_given"]["both"] == {"rows": 0.0} and found["as_given"]["text"]["rows"] == 4
    assert found["forms"].keys() == {"text"}


def test_figures_are_json_and_rounded() -> None:
    text = json.dumps(figures.rounded(figures.measure(seen(), MEANING, odd())), allow_nan=False)
    assert "0.666667" in text and "0.6666667" not in text
    assert figures.rounded({"a": (1 / 3, 2)}) == {"a": [0.333333, 2]}
