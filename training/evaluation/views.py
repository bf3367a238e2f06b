"""A model's outputs for labelled rows in several views: by photo, by text or by both, with many forms of the text.

Each photo is decoded once for all forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fashion_udf.model.architecture import BLANK_SIZE
from fashion_udf.model.engines.prediction import Predict, Prediction
from fashion_udf.model.tokenizer import encode, tokenizer_from_bytes
from fashion_udf.progress import progress
from fashion_udf.schema import Modality

from ..data import dataset, labelled_rows
from .robustness_forms import AS_GIVEN, FORMS, TITLE_ALONE, form_texts

_BATCH = 32  # rows

#: The form whose text is the title of a product of another family: with the row's photo, it describes no product.
ANOTHER_PRODUCT = "another_product"

#: A row of `training.data.labelled_rows.rows`: `product_id`, `text`, `image`, `category`, `attributes`.
Row = Mapping[str, Any]


class View(NamedTuple):
    """A view of a row: its inputs, and the form of the text ("" for the photo alone)."""

    modality: Modality
    form: str = ""


PHOTO = View(Modality.IMAGE)
#: Both inputs, and each one alone, with the original text.
AS_THEY_ARE = (View(Modality.BOTH, AS_GIVEN), PHOTO, View(Modality.TEXT, AS_GIVEN))
#: The robustness set: the photo alone, and every form of the text with the photo and without it.
ROBUSTNESS = (PHOTO, *(View(modality, form) for form in FORMS for modality in (Modality.BOTH, Modality.TEXT)))
#: Views for attributes, without a description, which may name them.
WITHOUT_DESCRIPTION = (View(Modality.BOTH, TITLE_ALONE), PHOTO, View(Modality.TEXT, TITLE_ALONE))
#: Views after each epoch: the forms without a photo are cheap.
IN_TRAINING = (*AS_THEY_ARE, *(view for view in ROBUSTNESS if view.modality is Modality.TEXT and view.form != AS_GIVEN))
MISMATCHED = View(Modality.BOTH, ANOTHER_PRODUCT)


@dataclass(frozen=True)
class Answers:
    """The model's outputs for the m rows that have the inputs of a view."""

    rows: NDArray[np.int64]  # [m], positions among all rows
    prediction: Prediction  # of m rows


@dataclass(frozen=True)
class Seen:
    """The n rows that a model was run on, and its outputs by view. A view without rows is absent."""

    product_ids: Sequence[str]
    titles: Sequence[str]
    categories: Sequence[str]
    labels: NDArray[np.int32]  # [n]; -1 for a category that the model does not know
    attributes: NDArray[np.int32]  # [n, A]; -1 if unknown
    answers: Mapping[View, Answers]

    def of(self, view: View) -> tuple[NDArray[np.int32], Prediction]:
        """Return the labels int32[m] and the outputs of the rows that have the inputs of a view."""
        answers = self.answers[view]
        return self.labels[answers.rows], answers.prediction

    def select(self, kept: NDArray[np.bool_]) -> Seen:
        """Return the rows where `kept` bool[n] is true."""
        place, positions = np.cumsum(kept) - 1, np.flatnonzero(kept).tolist()
        answers = {}
        for view, told in self.answers.items():
            stays = kept[told.rows]
            if stays.any():
                answers[view] = Answers(place[told.rows[stays]], select(told.prediction, stays))
        return Seen(
            [self.product_ids[at] for at in positions],
            [self.titles[at] for at in positions],
            [self.categories[at] for at in positions],
            self.labels[kept],
            self.attributes[kept],
            answers,
        )

    def has(self, *views: View) -> NDArray[np.bool_]:
        """Return bool[n]: which rows have the inputs of all these views."""
        there = np.ones(len(self.labels), bool)
        for view in views:
            has_view = np.zeros(len(self.labels), bool)
            if view in self.answers:
                has_view[self.answers[view].rows] = True
            there &= has_view
        return there


@dataclass
class _Parts:
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)


def run(
    predict: Predict,
    rows: Iterable[Row],
    preparation: dataset.Preparation,
    views: Sequence[View] = ROBUSTNESS,
    parents: Mapping[str, str] | None = None,
    label: str = "",
    total: int = 0,
) -> Seen:
    """Run a model over rows in every view.

    Args:
        predict: the model.
        rows: the rows. Rows without a photo are skipped in views that need one.
        preparation, views: how rows are converted to model inputs; the views.
        parents: category -> parent, for `MISMATCHED`. A missing category is its own parent.
        label: text of the progress before the number of rows; "" shows no progress.
        total: number of rows, for the progress.
    """
    look = _viewer(predict, preparation, views, parents or {})
    parts: dict[View, _Parts] = {view: _Parts() for view in views}
    seen: list[Row] = []
    labels, attributes = [np.empty(0, np.int32)], [np.empty((0, len(preparation.attributes)), np.int32)]
    with progress(total, label=label) as shown:
        for batch in _batches(rows):
            label_of, attributes_of = look(batch, len(seen), parts)
            labels.append(np.where(label_of < len(preparation.labels), label_of, -1))
            attributes.append(attributes_of)
            seen += [
                {**row, "image": b""} for row in batch
            ]  # without photos: those of a large catalog do not fit in memory
            shown.update(len(seen))
    return Seen(
        product_ids=[row["product_id"] for row in seen],
        titles=labelled_rows.titles([row["text"] for row in seen]),
        categories=[row["category"] for row in seen],
        labels=np.concatenate(labels),
        attributes=np.concatenate(attributes),
        answers={view: Answers(np.concatenate(p.rows), joined(p.predictions)) for view, p in parts.items() if p.rows},
    )


def accuracies(seen: Seen) -> dict[str, float]:
    """Return the accuracy on rows of known categories, by modality and form.

    The keys are `both` and `text` for the original text, `image` for the photo alone, and such as `text.title_alone`
    for another form.
    """
    figures = {}
    for view in seen.answers:
        labels, prediction = seen.of(view)
        known = labels >= 0
        if known.any():
            hits = prediction.logits[known, :-1].argmax(axis=1) == labels[known]
            suffix = "" if view.form in ("", AS_GIVEN) else f".{view.form}"
            figures[view.modality.value + suffix] = float(hits.mean())
    return figures


def summary(seen: Seen) -> dict[str, float]:
    """Return the accuracies by modality with the original text, and `forms`, the mean of all other forms."""
    found = accuracies(seen)
    plain = {name: value for name, value in found.items() if "." not in name}
    others = [value for name, value in found.items() if "." in name]
    return plain | ({"forms": sum(others) / len(others)} if others else {})


def joined(predictions: Sequence[Prediction]) -> Prediction:
    """Return the outputs of several batches as one."""
    columns = zip(*((p.embedding, p.logits, p.attributes) for p in predictions), strict=True)
    return Prediction(*(np.concatenate(column) for column in columns))


def select(prediction: Prediction, kept: NDArray[Any]) -> Prediction:
    """Return the outputs for some rows, chosen by bool[n] or by positions."""
    return Prediction(prediction.embedding[kept], prediction.logits[kept], prediction.attributes[kept])


def texts_of(form: str, rows: Sequence[Row], parents: Mapping[str, str]) -> list[str]:
    """Return the text of each row in a form.

    A row without a known category gets the ordinary description instead of one that names the category.
    """
    made = []
    for position, row in enumerate(rows):
        if form == ANOTHER_PRODUCT:
            made.append(_title_of_another(position, rows, parents))
            continue
        title, _, description = row["text"].partition("\n")
        named = "ordinary" if row["category"] == dataset.OTHER and form.startswith("category_") else form
        made += form_texts(named, [title], [description], [row["category"]], [row["product_id"]])
    return made


def _title_of_another(position: int, rows: Sequence[Row], parents: Mapping[str, str]) -> str:
    """Return the title of the next row of a known category with another parent; "" if there is none."""
    family = parents.get(rows[position]["category"], rows[position]["category"])
    for row in [*rows[position + 1 :], *rows[:position]]:
        if row["category"] != dataset.OTHER and parents.get(row["category"], row["category"]) != family:
            return str(row["text"]).partition("\n")[0]
    return ""


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield batches of rows with a photo, and batches of rows without one."""
    waiting: dict[bool, list[Row]] = {True: [], False: []}
    for row in rows:
        group = waiting[bool(row["image"])]
        group.append(row)
        if len(group) == _BATCH:
            yield group[:]
            group.clear()
    yield from (group for group in waiting.values() if group)


def _viewer(
    predict: Predict, preparation: dataset.Preparation, views: Sequence[View], parents: Mapping[str, str]
) -> Callable[[list[Row], int, dict[View, _Parts]], tuple[NDArray[np.int32], NDArray[np.int32]]]:
    arrays, tokenizer = dataset.input_arrays(preparation), tokenizer_from_bytes(preparation.tokenizer)
    forms = {view.form for view in views if view.form}

    def look(batch: list[Row], first: int, parts: dict[View, _Parts]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Run a batch in every view, add the outputs to `parts`, and return label indexes and attributes."""
        columns = ([row[name] for row in batch] for name in ("image", "text", "category", "attributes"))
        pixels, present, _, labels, attributes = arrays(*columns)
        blank = np.full((len(batch), BLANK_SIZE, BLANK_SIZE, 3), 255, np.uint8)
        tokens = {form: encode(tokenizer, texts_of(form, batch, parents)) for form in forms}
        tokens[""] = np.zeros((len(batch), 1), np.int32)
        for view in views:
            words, photo = tokens[view.form], view.modality is not Modality.TEXT
            there = words.any(axis=1) if view.form else np.ones(len(batch), bool)
            there &= (present[:, 0] > 0) | (not photo)
            if there.any():
                shown, given = (pixels, present) if photo else (blank, np.zeros_like(present))
                prediction = predict(shown, given, words)
                parts[view].rows.append(first + np.flatnonzero(there))
                parts[view].predictions.append(select(prediction, there))
        return labels, attributes

    return look
