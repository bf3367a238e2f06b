"""The release gate: limits by precision, and no form much worse than in the bundle that is replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashion_udf.errors import BundleError
from fashion_udf.model.engines.prediction import Prediction
from tests import fake_bundle
from tests.evaluation_figures import measured
from training.evaluation.limits import Limits
from training.evaluation.views import PHOTO, ROBUSTNESS, Answers, Seen
from training.release import gate

LABELS = ("Belts", "Shirts", "Ties")
HTML = next(view for view in ROBUSTNESS if view.form == "html" and view.modality == "text")


def seen(labels: list[int], chosen: list[int], view: object = HTML) -> Seen:
    names = [f"p{row}" for row in range(len(labels))]
    logits = np.eye(4, dtype=np.float32)[chosen]
    nothing = np.empty((len(labels), 0), np.float32)
    answers = Answers(np.arange(len(labels)), Prediction(nothing, logits, nothing))
    return Seen(
        names, names, names, np.asarray(labels, np.int32), np.empty((len(labels), 0), np.int32), {view: answers}
    )  # type: ignore[dict-item]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that is right on eight rows of ten; it does not know the category of the last one."""

    class Replaced:
        labels = ("Belts", "Shirts", "Caps")

    monkeypatch.setattr(gate.bundle, "read", lambda reference: Replaced())
    monkeypatch.setattr(gate, "_run", lambda bundle, data: seen([0] * 9 + [-1], [0] * 8 + [1, 1]))


def test_a_form_may_lose_the_points_of_the_limit_and_no_more(replaced: None) -> None:
    new = seen([0] * 9 + [2], [0] * 7 + [1, 1, 2])
    assert gate.lost("builtin", new, LABELS, Path(), 12.0) == []
    assert gate.lost("builtin", new, LABELS, Path(), 11.0) == [
        "text.html has an accuracy of 0.7778, and the replaced bundle has 0.8889, on 9 rows; it may lose 11 points"
    ]


def test_a_form_that_is_better_or_is_not_of_both_loses_nothing(replaced: None) -> None:
    assert gate.lost("builtin", seen([0] * 9, [0] * 9), LABELS, Path(), 0.0) == []
    assert gate.lost("builtin", seen([0] * 9, [1] * 9, PHOTO), LABELS, Path(), 0.0) == []


def test_every_precision_that_is_offered_must_reach_the_limits() -> None:
    limits = Limits.model_validate({"accuracy": {"both": 0.6}})
    metrics = {"f32": measured(), "int8": measured(), "bf16": measured()}
    found = gate.missed(limits, metrics, ["f32", "int8"])
    assert found == [f"{name}: accuracy.both is 0.5000, with a limit of 0.6" for name in ("f32", "int8")]


def test_what_is_missed_is_refused_with_every_figure_and_the_way_out() -> None:
    with pytest.raises(BundleError, match=r"Received: first; second\. The bundle is in build/b\.refused\. Rename it"):
        gate.refuse(["first", "second"], Path("build/b.refused"))


def test_a_bundle_that_cannot_be_read_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_bytes(fake_bundle.FILES["tokenizer.json"])
    with pytest.raises(BundleError, match=r"Expected a valid manifest\.json|format"):
        gate.lost(str(tmp_path), seen([0], [0]), LABELS, tmp_path, 1.0)
