"""Limits of a release: each figure that misses one is named, with its value and the limit."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.evaluation_figures import measured
from training.evaluation.limits import Limits, missed


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, []),
        ({"accuracy": {"both": 0.5}}, []),
        ({"accuracy": {"both": 0.51}}, ["accuracy.both is 0.5000, with a limit of 0.51"]),
        ({"forms": {"both": {"html": 0.4}}}, ["forms.both.html is 0.3750, with a limit of 0.4"]),
        ({"forms": {"image": {"no_text": 0.5}}}, []),
        ({"forms": {"text": {"html": 0.1}}}, ["forms.text.html is not measured, with a limit of 0.1"]),
        ({"auto_precision": 0.9}, []),
        ({"auto_precision": 0.99}, ["auto_precision.text.title_alone is 0.9875, with a limit of 0.99"]),
        ({"ece": {"text": 0.02}}, []),
        ({"ece": {"text": 0.005}}, ["ece.text.title_alone is 0.0100, with a limit of 0.005"]),
        ({"auto_of_unknown": 0.3}, []),
        ({"auto_of_unknown": 0.005}, ["auto_of_unknown.text.other_products is 0.2500, with a limit of 0.005"]),
    ],
)
def test_what_misses_a_limit_is_named(limits: dict[str, Any], expected: list[str]) -> None:
    assert missed(Limits.model_validate(limits), measured()) == expected


def test_a_modality_without_rows_misses_its_limit() -> None:
    limits = Limits.model_validate({"accuracy": {"image": 0.1}})
    assert missed(limits, measured(as_given={})) == ["accuracy.image is not measured, with a limit of 0.1"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"forms": {"both": {"htlm": 0.9}}}, r"unknown forms \['htlm'\]; known are \['no_text', 'title_alone'"),
        ({"forms": {"photo": {"html": 0.9}}}, "both"),
        ({"auto_precision": 99}, "less than or equal to 1"),
        ({"lost": 3}, "lost"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Limits.model_validate(limits)
