"""The limits of a release: the section `release` of a recipe, and the figures that miss it."""

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
    """Limits on the test split, for every offered precision.

    `accuracy` is the minimum accuracy by modality (both, image, text), with the original text. `forms` is the minimum
    accuracy by modality and form. `auto_precision` is the minimum precision of `auto` categories in each form, `ece`
    the maximum calibration error in each form, by modality; titles without any word of the category do not count for
    these two, as in calibration. `auto_of_unknown` is the maximum share of unknown products of a kind and modality that
    are `auto`. `lost_points` is the maximum of points of accuracy that a form may lose against the replaced bundle.
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
    """Return a sentence for each figure that misses its limit.

    Args:
        limits: the limits of a recipe.
        figures: the result of `training.evaluation.figures.measure`.
    """
    return [
        f"{name} is {'not measured' if value is None else format(value, '.4f')}, with a limit of {limit:g}"
        for name, value, limit, least in _judged(limits, figures)
        if value is None or (value < limit if least else value > limit)
    ]


def _judged(limits: Limits, figures: Mapping[str, Any]) -> Iterator[tuple[str, float | None, float, bool]]:
    """Yield name, value, limit, and whether the limit is a minimum (otherwise a maximum)."""
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
