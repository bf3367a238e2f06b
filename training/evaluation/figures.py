"""The figures of a model on the rows of a split, for the model card, the release gate and the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fashion_udf.schema import Modality

from . import intervals, measures, novelty
from .decided import Answer, Meaning
from .robustness_forms import TITLE_ALONE
from .views import AS_THEY_ARE, MISMATCHED, PHOTO, ROBUSTNESS, WITHOUT_DESCRIPTION, Seen, View, select

#: The views of a split that `measure` needs.
VIEWS = (*ROBUSTNESS, MISMATCHED)
#: The name of the form without a text in figures.
NO_TEXT = "no_text"

_DIGITS = 6  # digits of a written figure: further digits may differ between CPUs


def measure(seen: Seen, meaning: Meaning, odd: Seen | None = None) -> dict[str, Any]:
    """Return the figures of a model. Rows of categories that the model does not know only count for novelty.

    Args:
        seen: the split, in all or some of `VIEWS`.
        meaning: the facts that interpret the outputs.
        odd: pictures without a product, in the view `PHOTO`.

    Returns:
        `rows` and `unknown_rows`; `as_given`, by modality, with all measures of classification; `forms` and `parents`,
        by modality and form; `attributes`, by name and modality, with titles alone; `novelty`, by modality and kind of
        unknown product.
    """
    known = int((seen.labels >= 0).sum())
    return {
        "rows": known,
        "unknown_rows": len(seen.labels) - known,
        "as_given": {view.modality.value: classified(seen, view, meaning) for view in AS_THEY_ARE},
        "forms": _by_form(seen, meaning, "category"),
        "parents": _by_form(seen, meaning, "parent"),
        "attributes": _attributes(seen, meaning),
        "novelty": _novelty(seen, meaning, odd),
    }


def classified(seen: Seen, view: View, meaning: Meaning) -> dict[str, Any]:
    """Return all measures of classification of the rows of a view, four of them with intervals."""
    if view not in seen.answers:
        return {"rows": 0.0}
    labels, prediction = seen.of(view)
    answer = meaning.decide(seen, view).category.select(labels >= 0)
    figures: dict[str, Any] = measures.classification(answer.labels, prediction.logits[labels >= 0, :-1])
    if not len(answer.labels):
        return figures
    return figures | measures.answers(answer) | {"intervals": intervals.classification(answer.labels, answer.chosen)}


def _by_form(seen: Seen, meaning: Meaning, kind: str) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for view in ROBUSTNESS:
        if view in seen.answers:
            decided = meaning.decide(seen, view)
            answer: Answer = getattr(decided, kind)
            forms = table.setdefault(view.modality.value, {})
            forms[view.form or NO_TEXT] = judged(answer.select(decided.known))
    return table


def judged(answer: Answer) -> dict[str, Any]:
    """Return the accuracy of answers with its interval, their calibration error, and the figures of `auto`."""
    figures: dict[str, Any] = {"rows": float(len(answer.labels))}
    if len(answer.labels):
        figures["accuracy"] = float(answer.hits.mean())
        figures["accuracy_interval"] = intervals.share(answer.hits)
    return figures | measures.answers(answer)


def _attributes(seen: Seen, meaning: Meaning) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {attribute.name: {} for attribute in meaning.attributes}
    for view in WITHOUT_DESCRIPTION:
        if view in seen.answers:
            decided = meaning.decide(seen, view)
            for name, answer in decided.attributes.items():
                table[name][view.modality.value] = judged(answer.select(decided.known & (answer.labels >= 0)))
    return table


def _novelty(seen: Seen, meaning: Meaning, odd: Seen | None) -> dict[str, dict[str, Any]]:
    """Return how well unknown products are distinguished from known ones, with only the titles as texts."""
    table: dict[str, dict[str, Any]] = {}
    for view in WITHOUT_DESCRIPTION:
        if view not in seen.answers:
            continue
        decided = meaning.decide(seen, view)
        known, kinds = decided.select(decided.known), {"other_products": decided.select(~decided.known)}
        if view.modality is Modality.BOTH and MISMATCHED in seen.answers:
            kinds["photo_and_title_of_two_products"] = meaning.decide(seen, MISMATCHED)
        if view == PHOTO and odd is not None and PHOTO in odd.answers:
            kinds["odd_photos"] = meaning.decide(odd, PHOTO)
        table[view.modality.value] = {
            kind: novelty.figures(known, unknown) for kind, unknown in kinds.items() if len(unknown.novelty)
        }
    return table


def compared_novelty(seen: Seen, meaning: Meaning) -> dict[str, dict[str, float]]:
    """Return the AUROC of several scores of novelty, by kind of unknown product (see `novelty.compared`)."""
    table = {}
    for view, unknown_view in [
        (View(Modality.TEXT, TITLE_ALONE), View(Modality.TEXT, TITLE_ALONE)),
        (View(Modality.BOTH, TITLE_ALONE), MISMATCHED),
    ]:
        if view in seen.answers and unknown_view in seen.answers:
            labels, known = seen.of(view)
            other_labels, unknown = seen.of(unknown_view)
            kept = np.ones(len(other_labels), bool) if unknown_view == MISMATCHED else other_labels < 0
            if kept.any() and (labels >= 0).any():
                temperature = meaning.calibration[view.modality.value].category.temperature
                table[f"{view.modality.value}, {unknown_view.form}"] = novelty.compared(
                    select(known, labels >= 0), labels[labels >= 0], select(unknown, kept), temperature
                )
    return table


def rounded(value: Any) -> Any:
    """Return figures, nested or not, rounded for writing."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
