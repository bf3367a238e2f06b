"""What a release must reach: the section `release` of a recipe, and the figures that miss it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from fashion_udf.config import Section
from fashion_udf.schema import Modality

from .figures import NO_TEXT
from .robustness_forms import CATEGORY_MASKED, FORMS

Share = Annotated[float, Field(ge=0, le=1)]


class Limits(Section):
    """Limits on the test split, for every precision that is offered.

    `accuracy` is the least accuracy by modality (both, image, text), with the text as the rows have it. `forms` is the
    least accuracy by modality and form. `auto_precision` is the least precision of `auto` categories in each form,
    `ece` the largest calibration error in each form, by modality; of both, titles without any word of the category are
    left out, as calibration leaves these out. `auto_of_unknown` is the largest share of unknown
    products, of any kind and modality, that are `auto`. `lost_points` is how many points of accuracy any form may lose
    against the bundle that is replaced.
    """

    accuracy: dict[Modality, Share] = {}
    forms: dict[Modality, dict[str, Share]] = {}
    auto_precision: Share | None = None
    ece: dict[Modality, Share] = {}
    auto_of_unknown: Share | None = None
    lost_points: float = Field(1.0, ge=0)

    @field_validator("forms")
    @classmethod
    def _known_forms(cls, forms: dict[Modality, dict[str, Share]]) -> dict[Modality, dict[str, Share]]:
        for by_form in forms.values():
            if unknown := sorted(by_form.keys() - {*FORMS, NO_TEXT}):
                raise ValueError(f"unknown forms {unknown}; known are {[NO_TEXT, *FORMS]}")
        return forms


def missed(limits: Limits, figures: Mapping[str, Any]) -> list[str]:
    """Return what does not reach the limits, one sentence each.

    Args:
        limits: of a recipe.
        figures: of `training.evaluation.figures.measure`.
    """
    return [
        f"{name} is {'not measured' if value is None else format(value, '.4f')}, with a limit of {limit:g}"
        for name, value, limit, least in _judged(limits, figures)
        if value is None or (value < limit if least else value > limit)
    ]


def _judged(limits: Limits, figures: Mapping[str, Any]) -> Iterator[tuple[str, float | None, float, bool]]:
    """Yield name, value, limit, and whether the limit is the least value and not the largest."""
    for modality, limit in limits.accuracy.items():
        yield f"accuracy.{modality}", figures["as_given"].get(modality, {}).get("accuracy"), limit, True
    for modality, by_form in limits.forms.items():
        for form, limit in by_form.items():
            found = figures["forms"].get(modality, {}).get(form, {})
            yield f"forms.{modality}.{form}", found.get("accuracy"), limit, True
    for modality, forms in figures["forms"].items():
        for form, found in forms.items():
            if form == CATEGORY_MASKED:
                continue
            if limits.auto_precision is not None and "auto_precision" in found:
                yield f"auto_precision.{modality}.{form}", found["auto_precision"], limits.auto_precision, True
            if modality in limits.ece and "ece" in found:
                yield f"ece.{modality}.{form}", found["ece"], limits.ece[Modality(modality)], False
    if limits.auto_of_unknown is not None:
        for modality, kinds in figures["novelty"].items():
            for kind, found in kinds.items():
                share = found.get("auto_share_of_unknown")
                yield f"auto_of_unknown.{modality}.{kind}", share, limits.auto_of_unknown, False
