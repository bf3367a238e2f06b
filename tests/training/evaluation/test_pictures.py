"""Pictures: PNG of a size that keeps many categories readable, and names drawn as plain text."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from training.evaluation import pictures
from training.evaluation.measures import Bin


def _size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return image.size


def test_a_matrix_of_75_categories_has_room_for_every_label() -> None:
    names = [f"Category {number}" for number in range(75)]
    width, height = _size(pictures.confusion(np.eye(75, dtype=np.int64), names))
    assert width >= 75 * 20 and height >= 75 * 20  # pixels: a label of 7 points is 11 high


def test_categories_without_a_row_or_a_prediction_are_left_out() -> None:
    matrix = np.zeros((75, 75), np.int64)
    matrix[0, 74] = 1
    names = [f"Category {number}" for number in range(75)]
    assert pictures.confusion(matrix, names) == pictures.confusion(
        matrix[[0, 74]][:, [0, 74]], ["Category 0", names[74]]
    )


@pytest.mark.parametrize("name", ["$\\frac{$", "$x$", "line\nbreak", "n" * 500, ""])
def test_any_name_can_be_drawn(name: str) -> None:
    _size(pictures.confusion(np.ones((2, 2), np.int64), [name, "Belts"]))


def test_a_dollar_starts_no_formula() -> None:
    matrix = np.ones((1, 1), np.int64)
    assert pictures.confusion(matrix, ["$xxxxxxxx$"]) != pictures.confusion(matrix, ["xxxxxxxx"])


def test_reliability_is_drawn_for_each_input_and_with_empty_bins() -> None:
    bins = {"both": [None, Bin(3, 0.7, 0.5)], "image": [None, None]}
    one, two = (
        pictures.reliability({"both": bins["both"]}, {"both": 0.2}),
        pictures.reliability(bins, {"both": 0.2, "image": 0.0}),
    )
    assert _size(two)[0] == 2 * _size(one)[0]
