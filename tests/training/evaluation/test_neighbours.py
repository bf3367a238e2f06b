"""Neighbours: the nearest ones by cosine, none of the query's own title, and what is not known does not count."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation import neighbours


def around(degrees: list[float]) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


REFERENCES = around([1, 2, 3, 90]), ["a", "b", "c", "d"]


def labels(*values: int) -> np.ndarray:
    return np.asarray(values, np.int32)


def test_shares_are_of_the_nearest_and_the_score_is_of_the_farthest_of_these() -> None:
    found = neighbours.shared((around([0]), ["q"]), REFERENCES, {"category": (labels(7), labels(7, 7, 8, 7))}, count=3)
    assert found == {"category": pytest.approx(2 / 3), "last_score": pytest.approx(np.cos(np.radians(3)), abs=1e-6)}


def test_products_of_the_same_title_are_left_out_whatever_its_case() -> None:
    queries = around([0]), [" B"]
    found = neighbours.shared(queries, REFERENCES, {"category": (labels(1), labels(0, 1, 1, 1))}, count=2)
    assert found["category"] == 0.5  # a and c


def test_pairs_of_which_a_property_is_not_known_do_not_count() -> None:
    properties = {"colour": (labels(-1, 2), labels(-1, 2, 3, 2)), "size": (labels(-1, -1), labels(0, 0, 0, 0))}
    found = neighbours.shared((around([0, 0]), ["x", "y"]), REFERENCES, properties, count=3)
    assert found["colour"] == 0.5 and "size" not in found


def test_a_row_with_fewer_neighbours_than_asked_for_has_those_there_are() -> None:
    references = around([1, 2]), ["q", "b"]
    found = neighbours.shared((around([0]), ["q"]), references, {"category": (labels(0), labels(0, 1))}, count=10)
    assert found == {"category": 0.0, "last_score": pytest.approx(np.cos(np.radians(2)), abs=1e-6)}
    none = neighbours.shared((around([0]), ["q"]), (around([1]), ["q"]), {"category": (labels(0), labels(0))}, 10)
    assert none == {}


def test_untitled_products_are_not_all_the_same() -> None:
    found = neighbours.shared((around([0]), [""]), (around([1]), [""]), {"category": (labels(0), labels(0))}, 1)
    assert found["category"] == 1.0
