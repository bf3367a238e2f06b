"""Views of labelled rows: each is run on its own inputs, for the rows that have these, and a photo is decoded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.tokenizer import train_tokenizer
from fashion_udf.photos import decode
from fashion_udf.samples import catalog
from fashion_udf.schema import Modality
from training.data import dataset
from training.evaluation import views
from training.evaluation.robustness_forms import FORMS
from training.evaluation.views import AS_THEY_ARE, MISMATCHED, PHOTO, ROBUSTNESS, View

TITLES = {"Shirts": "Blue checked shirt", "Belts": "Brown leather belt", "other": "Garden hose"}
TOKENIZER = train_tokenizer([*TITLES.values(), "for every day, in summer. Soft"] * 3, 300)
PREPARATION = dataset.Preparation(TOKENIZER, ("Belts", "Shirts"), 32, (dataset.Attribute("colour", ("Blue", "Brown")),))
BOTH, TEXT = View(Modality.BOTH, "as_given"), View(Modality.TEXT, "as_given")


def row(number: int, category: str, photo: bool = True, text: bool = True) -> dict[str, Any]:
    product = next(catalog.products(1, seed=number))
    return {
        "product_id": f"p{number}",
        "text": f"{TITLES[category]} {number}\nfor every day" if text else "",
        "image": product.image if photo else b"",
        "category": category,
        "attributes": '{"colour": "Blue"}' if category == "Shirts" else "{}",
    }


ROWS = [row(0, "Shirts"), row(1, "Belts", photo=False), row(2, "other"), row(3, "Belts", text=False), row(4, "Belts")]


class Model:
    """Answers with what it was given: photo and text in the embedding, the text's first ids in the attributes."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []  # size of the pixels, rows

    def __call__(
        self, pixels: NDArray[np.uint8], present: NDArray[np.float32], token_ids: NDArray[np.int32]
    ) -> Prediction:
        self.calls.append((pixels.shape[1], len(pixels)))
        level = pixels.reshape(len(pixels), -1).mean(axis=1)
        given = np.stack([present[:, 0] * level, token_ids.any(axis=1)], axis=1).astype(np.float32)
        logits = np.stack([given[:, 1], 1 - given[:, 1], np.zeros(len(pixels))], axis=1).astype(np.float32)
        return Prediction(given, logits, token_ids.sum(axis=1, keepdims=True).astype(np.float32))


def ids(seen: views.Seen, view: View) -> list[str]:
    return sorted(seen.product_ids[at] for at in seen.answers[view].rows)


def test_a_view_has_the_rows_that_have_its_inputs() -> None:
    seen = views.run(Model(), ROWS, PREPARATION, AS_THEY_ARE)
    assert ids(seen, BOTH) == ["p0", "p2", "p4"]
    assert ids(seen, PHOTO) == ["p0", "p2", "p3", "p4"]
    assert ids(seen, TEXT) == ["p0", "p1", "p2", "p4"]
    assert (seen.of(PHOTO)[1].embedding[:, 1] == 0).all() and (seen.of(PHOTO)[1].embedding[:, 0] > 0).all()
    assert (seen.of(TEXT)[1].embedding == [0, 1]).all()
    assert (seen.of(BOTH)[1].embedding[:, 1] == 1).all() and (seen.of(BOTH)[1].embedding[:, 0] > 0).all()


def test_rows_keep_their_labels_titles_and_attributes() -> None:
    seen = views.run(Model(), ROWS, PREPARATION, AS_THEY_ARE)
    found = dict(zip(seen.product_ids, zip(seen.labels, seen.titles, seen.attributes[:, 0], strict=True), strict=True))
    assert found == {
        "p0": (1, "Blue checked shirt 0", 0),
        "p1": (0, "Brown leather belt 1", -1),
        "p2": (-1, "Garden hose 2", -1),
        "p3": (0, "", -1),
        "p4": (0, "Brown leather belt 4", -1),
    }


def test_a_photo_is_decoded_once_however_many_forms_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(dataset, "decode", lambda data, size: decoded.append(data) or decode.decode(data, size))
    model = Model()
    seen = views.run(model, ROWS, PREPARATION, ROBUSTNESS)
    assert len(decoded) == len(ROWS) and len(seen.answers) == 2 * len(FORMS) + 1
    assert {size for size, _ in model.calls} == {32}
    assert sum(rows for _, rows in model.calls) == 12 * (4 + 5) + 4, "rows without a photo are run by their text alone"


def test_rows_without_a_photo_are_run_on_the_smallest_picture() -> None:
    large = dataset.Preparation(TOKENIZER, ("Belts", "Shirts"), 64)
    model = Model()
    views.run(model, ROWS, large, AS_THEY_ARE)
    assert sorted(set(model.calls)) == [(32, 1), (32, 4), (64, 4)]


def test_a_form_changes_the_text_and_nothing_else() -> None:
    seen = views.run(Model(), ROWS, PREPARATION, ROBUSTNESS)
    title, given = View(Modality.BOTH, "title_alone"), BOTH
    assert ids(seen, title) == ids(seen, given)
    assert (seen.of(title)[1].embedding == seen.of(given)[1].embedding).all()
    assert (seen.of(title)[1].attributes < seen.of(given)[1].attributes).all(), "less text"


def test_no_text_of_another_product_has_a_category_word_of_its_own() -> None:
    unknown = [row(7, "other")]
    ordinary = views.texts_of("ordinary", unknown, {})
    assert views.texts_of("category_masked", unknown, {}) == ordinary
    assert views.texts_of("category_in_description", unknown, {}) == ordinary


def test_a_photo_gets_the_title_of_another_family() -> None:
    texts = views.texts_of(MISMATCHED.form, ROWS, {})
    assert texts == ["Brown leather belt 1", "Blue checked shirt 0", "", "Blue checked shirt 0", "Blue checked shirt 0"]
    one = {"Shirts": "Clothes", "Belts": "Clothes"}
    assert views.texts_of(MISMATCHED.form, ROWS[:2], one) == ["", ""]


def test_rows_that_are_selected_keep_their_answers() -> None:
    seen = views.run(Model(), ROWS, PREPARATION, AS_THEY_ARE)
    kept = seen.select(np.asarray([name in ("p1", "p4") for name in seen.product_ids]))
    assert sorted(kept.product_ids) == ["p1", "p4"]
    assert ids(kept, PHOTO) == ids(kept, BOTH) == ["p4"] and ids(kept, TEXT) == ["p1", "p4"]
    assert [kept.product_ids[at] for at in np.flatnonzero(kept.has(PHOTO, TEXT))] == ["p4"]
    assert BOTH not in kept.select(kept.has(TEXT) & ~kept.has(PHOTO)).answers


def test_accuracies_are_of_known_categories_among_the_known_ones() -> None:
    seen = views.run(Model(), ROWS, PREPARATION, (*AS_THEY_ARE, View(Modality.TEXT, "title_alone")))
    assert views.accuracies(seen) == {
        "both": 0.5,  # with a text the model says Belts
        "image": pytest.approx(1 / 3),  # without one, Shirts
        "text": pytest.approx(2 / 3),
        "text.title_alone": pytest.approx(2 / 3),
    }


def test_other_forms_are_summed_up_in_their_mean() -> None:
    seen = views.run(Model(), ROWS, PREPARATION, views.IN_TRAINING)
    found = views.accuracies(seen)
    assert len(found) == 3 + 11 and views.summary(seen).keys() == {"both", "image", "text", "forms"}
    others = [value for name, value in found.items() if name.startswith("text.")]
    assert views.summary(seen)["forms"] == pytest.approx(np.mean(others))


def test_nothing_at_all_is_seen_of_no_rows() -> None:
    seen = views.run(Model(), [], PREPARATION, AS_THEY_ARE)
    assert seen.answers == {} and seen.labels.shape == (0,) and seen.attributes.shape == (0, 1)
    assert views.accuracies(seen) == {}
