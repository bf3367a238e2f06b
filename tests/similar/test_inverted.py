"""The recall of lists of near products is known before they are searched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fashion_udf.similar import inverted


def vectors(count: int) -> np.ndarray:
    found = np.random.default_rng(1).standard_normal((count, 8)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_recall_of_a_number_of_lists_is_what_looking_in_them_finds() -> None:
    rows = vectors(600)
    cells = inverted.train(rows, 12)
    exact = np.argsort(-(rows[:50] @ rows.T), axis=1)[:, 1:6]
    homes = cells.homes(rows)
    recalls = inverted.recalls(cells.order(rows[:50]), homes[exact])
    assert recalls[-1] == 1.0 and (np.diff(recalls) >= 0).all()
    count = inverted.probes(recalls, 0.9)
    assert recalls[count - 1] >= 0.9 > (recalls[count - 2] if count > 1 else 0)
    parts = cells.part_of(rows, np.zeros(600, np.uint64))
    for looked_in, recall in enumerate(recalls, 1):
        probed = cells.probed(rows[:50], looked_in)
        found = [np.isin(parts[near], cell).mean() for near, cell in zip(exact, probed, strict=True)]
        assert np.isclose(np.mean(found), recall)
    assert inverted.probes(recalls, 1.0) <= 12


def test_a_list_too_large_for_a_task_is_divided_and_looked_in_whole() -> None:
    rows = vectors(100)
    cells = inverted.train(rows, 4)
    cells = replace(cells, splits=np.array([1, 3, 1, 2]))
    parts = cells.part_of(rows, np.arange(100, dtype=np.uint64))
    assert cells.parts == 7 and set(parts.tolist()) <= set(range(7))
    for row, probed in enumerate(cells.probed(rows, 1)):
        assert parts[row] in probed


def test_neighbours_that_are_not_there_do_not_count() -> None:
    order = np.array([[1, 0], [0, 1]])
    assert inverted.recalls(order, np.array([[1, -1], [1, 0]])).tolist() == [2 / 3, 1.0]
    assert inverted.recalls(order, np.full((2, 2), -1)).tolist() == [1.0, 1.0]
