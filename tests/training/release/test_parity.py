"""Which precisions a bundle may offer: those that keep categories and accuracy, counted on labelled rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fashion_udf.model import bundle, taxonomy
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import golden, registry
from fashion_udf.model.engines.prediction import Predict, Prediction
from fashion_udf.model.manifest import Agreement, Calibrated, Calibration, Parity
from tests import tiny_model, training_set
from training.evaluation.decided import Meaning
from training.evaluation.views import PHOTO, ROBUSTNESS, Answers, Seen, View
from training.release import candidates, parity
from training.release.candidates import Measured
from training.release.parity import Comparison


def _facts(largest: float | None = 0.1, **both: int) -> Parity:
    counts = {"rows": 1000, "same_top1": 1000, "same_decision": 990, "correct": 970, "f32_correct": 970, **both}
    return Parity(rows=16, same_top1=16, largest_difference=largest, labelled={"both": Agreement(**counts)})


@pytest.mark.parametrize(
    ("facts", "offered"),
    [
        (_facts(), True),
        (_facts(same_top1=995), True),
        (_facts(same_top1=994), False),
        (_facts(correct=967), True),
        (_facts(correct=966), False),
        (_facts(largest=golden.REDUCED_LIMIT), True),
        (_facts(largest=golden.REDUCED_LIMIT + 0.01), False),
        (_facts(largest=None), False),
    ],
)
def test_int8_is_offered_while_it_keeps_categories_and_accuracy(facts: Parity, offered: bool) -> None:
    assert parity.passes("int8", facts) is offered


@pytest.mark.parametrize(
    ("same_top1", "largest", "offered"), [(16, 1e-3, True), (16, 2e-3, False), (15, 1e-4, False), (16, None, False)]
)
def test_f32_must_repeat_every_golden_row(same_top1: int, largest: float | None, offered: bool) -> None:
    assert parity.passes("f32", Parity(rows=16, same_top1=same_top1, largest_difference=largest)) is offered


def test_without_rows_of_both_inputs_the_text_alone_decides() -> None:
    counts = {"rows": 1000, "same_decision": 1000, "correct": 970, "f32_correct": 970}
    for same_top1, offered in [(995, True), (994, False)]:
        labelled = {"text": Agreement(same_top1=same_top1, **counts)}
        facts = Parity(rows=16, same_top1=16, largest_difference=0.01, labelled=labelled)
        assert parity.passes("int8", facts) is offered


def _measured(chosen: list[int]) -> Measured:
    """The same answers for three rows in a form with photo and text, and by the photo alone."""
    nothing = np.empty((3, 0), np.float32)
    answers = Answers(np.arange(3), Prediction(nothing, np.eye(4, dtype=np.float32)[chosen] * 2, nothing))
    views: dict[View, Answers] = {next(view for view in ROBUSTNESS if view.form == "html"): answers, PHOTO: answers}
    names = ["a", "b", "c"]
    seen = Seen(names, names, names, np.asarray([0, 1, -1], np.int32), np.empty((3, 0), np.int32), views)
    return Measured(seen, seen, seen)


def _meaning(auto: float) -> Meaning:
    limits = Calibrated(temperature=1.0, auto=auto, review=0.5)
    calibration = Calibration(category=limits, parent=limits, attributes={}, novelty=1.0)
    return Meaning(taxonomy.build({}, ["Shirts", "Belts", "Ties"]), [], dict.fromkeys(["both", "image"], calibration))


def test_agreement_counts_rows_of_every_form_and_split_by_modality() -> None:
    counts = parity.agreement(_measured([0, 1, 2]), _measured([0, 2, 2]), _meaning(0.6), _meaning(0.6))
    both = Agreement(rows=6, same_top1=4, same_decision=6, correct=2, f32_correct=4)
    assert counts == {"both": both, "image": both}
    decided = parity.agreement(_measured([0, 1, 2]), _measured([0, 1, 2]), _meaning(0.6), _meaning(0.9))
    assert decided["both"] == Agreement(rows=6, same_top1=6, same_decision=0, correct=4, f32_correct=4)


# --- measuring -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Bundle:
    """A bundle with a graph in place of the int8 one, which `replace_engine` never runs."""
    exported = bundle.read(str(tiny_model.directory()))
    return dataclasses.replace(exported, files={**exported.files, "openvino/model_int8.xml": b""})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set.write(tmp_path_factory.mktemp("a training set"))


def compare(model: Bundle, data: Path | None) -> Comparison:
    built = candidates.build(model, data)
    return parity.compare(model, built, candidates.measure(built, model, data) if data else {})


def replace_engine(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[str, NDArray[np.float32]], NDArray[np.float32]]
) -> list[str]:
    """Put an engine in openvino's place that runs f32 and changes its logits; return a list of what is built."""
    actual = registry.ENGINES["openvino"]
    built = []

    def build(candidate: Bundle, precision: str, threads: int) -> Predict:
        built.append(precision)
        exact = actual(candidate, "f32", threads)

        def predict(*inputs: NDArray[np.generic]) -> Prediction:
            prediction = exact(*inputs)
            return dataclasses.replace(prediction, logits=change(precision, prediction.logits))

        return predict

    monkeypatch.setitem(registry.ENGINES, "openvino", build)
    monkeypatch.setattr(candidates, "ENGINES", {"openvino": ("f32", "bf16", "int8")})
    return built


def test_without_a_training_set_f32_alone_is_measured(
    model: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    built = replace_engine(monkeypatch, lambda _, logits: logits)
    with caplog.at_level("INFO", "training"):
        comparison = compare(model, None)
    assert (comparison.offered, built) == ({"openvino": ["f32"]}, ["f32"])
    assert comparison.not_measured == dict.fromkeys(
        ["openvino bf16", "openvino int8"], "the export had no training set"
    )
    assert "openvino int8 is not measured, so it is not offered: the export had no training set" in caplog.text


def test_every_row_of_validation_and_test_is_compared_in_every_form(
    model: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "has_bf16", lambda: True)
    replace_engine(monkeypatch, lambda precision, logits: logits * np.float32(1 if precision == "f32" else 1.01))
    comparison = compare(model, data)
    assert comparison.offered == {"openvino": ["f32", "bf16", "int8"]}
    assert comparison.not_measured == {}
    assert comparison.parity["openvino f32"].labelled == {}
    rows = training_set.COUNTS["validation"] + training_set.COUNTS["test"]
    for key in ("openvino bf16", "openvino int8"):
        counts = comparison.parity[key].labelled
        assert {name: (facts.rows, facts.same_top1) for name, facts in counts.items()} == {
            "both": (12 * rows, 12 * rows),
            "image": (rows, rows),
            "text": (12 * rows, 12 * rows),
        }
        assert 0 < comparison.parity[key].largest_difference < 0.02


def test_a_cpu_without_bf16_measures_int8_alone(model: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "has_bf16", lambda: False)
    built = replace_engine(monkeypatch, lambda precision, logits: logits if precision == "f32" else logits[:, ::-1])
    comparison = compare(model, data)
    assert built == ["f32", "int8"]
    assert comparison.not_measured == {"openvino bf16": "the CPU of the export has no bf16"}
    assert comparison.offered == {"openvino": ["f32"]}, "the other one answers with the categories in reverse"
    both = comparison.parity["openvino int8"].labelled["both"]
    assert both.same_top1 < both.rows


def test_nothing_is_compared_with_an_f32_that_is_not_offered(
    model: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "has_bf16", lambda: True)
    replace_engine(monkeypatch, lambda precision, logits: logits[:, ::-1])
    comparison = compare(model, data)
    assert comparison.offered == {}
    assert comparison.not_measured == dict.fromkeys(
        ["openvino bf16", "openvino int8"], "openvino f32, the reference, is not offered"
    )
