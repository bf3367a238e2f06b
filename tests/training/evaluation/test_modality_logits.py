"""Logits by modality: each is run on its own inputs, and figures with a calibration are those of scoring."""

from __future__ import annotations

import numpy as np
import pytest

from fashion_udf.model.engines.prediction import Prediction
from fashion_udf.model.manifest import Thresholds
from fashion_udf.schema import Modality
from training.evaluation import modality_logits
from training.evaluation.modality_logits import Calibration, ModalityLogits, metrics

CALIBRATION = Calibration(
    {name: 1.0 for name in ("both", "image", "text")},
    {name: Thresholds(auto=0.9, review=0.5) for name in ("both", "image", "text")},
)


def _predict(pixels: np.ndarray, present: np.ndarray, token_ids: np.ndarray) -> Prediction:
    """Say which inputs there were."""
    photo, text = present[:, 0] > 0, token_ids.any(axis=1)
    return Prediction(np.stack([photo, text], axis=1).astype(np.float32), np.stack([photo, text], 1).astype(np.float32))


def _batches(counts: tuple[int, ...]) -> list[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
    return [
        (
            {
                "image": np.zeros((count, 8, 8, 3), np.uint8),
                "image_present": np.ones((count, 1), np.float32),
                "token_ids": np.ones((count, 3), np.int32),
            },
            np.full(count, count, np.int32),
            np.empty((count, 0), np.int32),
        )
        for count in counts
    ]


def test_every_modality_gets_its_inputs_alone() -> None:
    outcome = modality_logits.modality_logits(_predict, _batches((2, 1)))
    assert outcome.labels.tolist() == [2, 2, 1]
    assert outcome.logits[Modality.BOTH].tolist() == [[1, 1]] * 3
    assert outcome.logits[Modality.IMAGE].tolist() == [[1, 0]] * 3
    assert outcome.logits[Modality.TEXT].tolist() == [[0, 1]] * 3
    assert outcome.embedding is not None and outcome.embedding.tolist() == [[1, 1]] * 3


def test_only_the_modalities_asked_for_are_run() -> None:
    outcome = modality_logits.modality_logits(_predict, _batches((2,)), (Modality.TEXT,))
    assert list(outcome.logits) == [Modality.TEXT]
    assert outcome.embedding is None


def test_a_selection_keeps_rows_together() -> None:
    outcome = ModalityLogits(
        np.asarray([5, 6], np.int32),
        {Modality.BOTH: np.asarray([[1.0], [2.0]], np.float32)},
        np.asarray([[3.0], [4.0]]),
    ).select(np.asarray([False, True]))
    assert (outcome.labels.tolist(), outcome.logits[Modality.BOTH].tolist()) == ([6], [[2.0]])
    assert outcome.embedding is not None and outcome.embedding.tolist() == [[4.0]]


def test_a_calibration_adds_figures_that_a_manifest_can_hold() -> None:
    logits = 9 * np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]
    outcome = ModalityLogits(np.asarray([0, 0, 1, 3], np.int32), {Modality.BOTH: logits})
    plain, full = metrics(outcome)["both"], metrics(outcome, calibration=CALIBRATION)["both"]
    assert set(full) - set(plain) == {"macro_f1", "top3", "ece", "auto_share", "auto_precision"}
    assert {name: full[name] for name in plain} == plain
    assert full["auto_share"] == 1.0 and full["auto_precision"] == 0.75
    assert full["macro_f1"] == pytest.approx(2 / 3)
    assert full["ece"] == pytest.approx(0.25, abs=1e-3)
    assert all(type(value) is float for value in full.values())


def test_a_calibration_is_written_as_plain_json_values() -> None:
    limits = {"auto": 0.9, "review": 0.5}
    assert CALIBRATION.as_dict() == {
        "temperature": {"both": 1.0, "image": 1.0, "text": 1.0},
        "thresholds": {"both": limits, "image": limits, "text": limits},
    }


def test_rows_of_unknown_category_do_not_make_the_first_one_frequent() -> None:
    outcome = ModalityLogits(np.asarray([-1, -1, 0, 1, 1], np.int32), {Modality.BOTH: np.eye(5, dtype=np.float32)})
    assert metrics(outcome, minimum=2)["both"]["rows"] == 2.0
