"""Export with a training set: int8 is offered where it agrees with f32, and its failure is stated where it does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashion_udf.errors import BundleError, CatalogError
from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.prediction import Predict, Prediction
from tests import tiny_model, training_set
from training import export
from training.evaluation.limits import Limits
from training.evaluation.robustness_forms import FORMS
from training.fitting import run_directory, thresholds


@pytest.fixture(scope="module")
def exported() -> Bundle:
    return bundle.read(str(tiny_model.directory()))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set.write(tmp_path_factory.mktemp("a training set"))


def float_graph(exported: Bundle) -> dict[str, bytes]:
    return {name: data for name, data in exported.files.items() if name.startswith("openvino/")}


def export_int8(
    monkeypatch: pytest.MonkeyPatch,
    exported: Bundle,
    data: Path,
    output: Path,
    factor: float,
    limits: dict[str, Any] | None = None,
    replaces: str | None = None,
) -> tuple[Bundle, list[int]]:
    """Export with a graph in place of the int8 one that is float, and with logits multiplied where it runs."""
    actual, calibrated = registry.ENGINES["openvino"], []

    def quantize(files: dict[str, bytes], rows: list[Any]) -> dict[str, bytes]:
        calibrated.append(len(rows))
        return {f"openvino/model_int8.{kind}": files[f"openvino/model.{kind}"] for kind in ("xml", "bin")}

    def build(model: Bundle, precision: str, threads: int) -> Predict:
        exact = actual(model, precision, threads)

        def predict(*inputs: Any) -> Prediction:
            prediction = exact(*inputs)
            scale = np.float32(factor if precision == "int8" else 1)
            return dataclasses.replace(prediction, logits=prediction.logits * scale)

        return predict

    monkeypatch.setitem(registry.ENGINES, "openvino", build)
    monkeypatch.setattr(export.candidates, "has_bf16", lambda: False)
    monkeypatch.setattr(export.quantization, "quantize", quantize)
    monkeypatch.setattr(export.openvino_ir, "convert", lambda model: float_graph(exported))
    told = dataclasses.replace(
        tiny_model.facts(), data=run_directory.describe(data), limits=Limits.model_validate(limits or {})
    )
    export.export(tiny_model.model(), told, output, data, replaces)
    return bundle.read(str(output)), calibrated


def test_int8_that_agrees_is_offered_with_its_files_and_its_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle, data: Path
) -> None:
    written, calibrated = export_int8(monkeypatch, exported, data, tmp_path / "bundle", 1.001)
    assert calibrated == [training_set.COUNTS["train"]]
    assert written.manifest.engines == {"openvino": ["f32", "int8"], "tensorflow": ["f32"]}
    assert {"openvino/model_int8.xml", "openvino/model_int8.bin"} <= written.files.keys()
    labelled = written.manifest.parity["openvino int8"].labelled
    assert {name: facts.rows for name, facts in labelled.items()} == {"both": 12 * 32, "image": 32, "text": 12 * 32}
    assert written.manifest.calibration.keys() == written.manifest.metrics.keys() == {"f32", "int8"}
    assert written.manifest.metrics["int8"]["forms"]["text"].keys() == {*FORMS}
    temperatures = [written.manifest.calibration[name]["text"].category.temperature for name in ("int8", "f32")]
    assert temperatures[0] == pytest.approx(1.001 * temperatures[1], rel=1e-5), "fitted to its own"
    card = written.files["MODEL_CARD.md"].decode()
    assert "at least 99.5% keep their category and at most 0.3 points of accuracy are lost" in card
    assert "| openvino int8 | yes | 16 of 16 |" in card
    assert "| openvino int8 | image | 32 of 32 (100.00%) | 100.00% |" in card
    assert "### int8\n\nThe test split: " in card
    assert "openvino bf16 is not offered, for it was not measured: the CPU of the export has no bf16." in card
    registry.create("openvino", written, "int8", 1)


def test_int8_that_fails_parity_is_left_out_and_its_figures_are_stated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle, data: Path
) -> None:
    written, _ = export_int8(monkeypatch, exported, data, tmp_path / "bundle", -1)
    assert written.manifest.engines == {"openvino": ["f32"], "tensorflow": ["f32"]}
    assert {name for name in written.files if name.startswith("openvino/")} == {
        "openvino/model.xml",
        "openvino/model.bin",
    }
    assert written.manifest.parity["openvino int8"].labelled["both"].same_top1 == 0
    card = written.files["MODEL_CARD.md"].decode()
    assert "| openvino int8 | no | 0 of 16 |" in card
    assert "| openvino int8 | both | 0 of 384 (0.00%) |" in card


def test_a_training_set_without_photos_gives_a_bundle_without_int8_that_is_never_sure_of_a_photo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    titles = training_set.write(tmp_path / "titles", photos=False)
    written, calibrated = export_int8(monkeypatch, exported, titles, tmp_path / "bundle", 1)
    assert calibrated == []
    assert "int8 is left out: it is calibrated on photos, and no row of" in caplog.text
    assert written.manifest.engines == {"openvino": ["f32"], "tensorflow": ["f32"]}
    card = written.files["MODEL_CARD.md"].decode()
    assert "openvino int8 is not offered, for it was not measured: no row of the training set has a photo." in card
    assert written.manifest.calibration["f32"]["image"].category.auto == thresholds.NEVER
    assert written.manifest.calibration["f32"]["both"].category.auto == thresholds.NEVER


def test_another_training_set_than_the_runs_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle, data: Path
) -> None:
    monkeypatch.setattr(export.openvino_ir, "convert", lambda model: float_graph(exported))
    digest = run_directory.describe(data)["digest"]
    with pytest.raises(
        CatalogError, match=f"Expected the training set of the run, .* digest {'0' * 64}. Received: .* with {digest}"
    ):
        export.export(tiny_model.model(), tiny_model.facts(), tmp_path / "bundle", data)
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_that_misses_a_limit_is_refused_and_kept_aside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle, data: Path
) -> None:
    limits = {"accuracy": {"both": 1.0}}
    with pytest.raises(
        BundleError,
        match=r"the limits of a release .* Received: f32: accuracy.both is 0\.\d+, with a limit of 1; "
        r"int8: accuracy.both is .*\. The bundle is in .*/bundle\.refused\. Rename it to use it in spite of this",
    ):
        export_int8(monkeypatch, exported, data, tmp_path / "bundle", 1.001, limits)
    assert not (tmp_path / "bundle").exists()
    assert bundle.read(str(tmp_path / "bundle.refused")).manifest.parity["openvino int8"].labelled
    monkeypatch.undo()
    with pytest.raises(BundleError, match=r"a directory that does not exist yet. Received: .*/bundle\.refused"):
        export_int8(monkeypatch, exported, data, tmp_path / "bundle", 1.001)


def test_a_bundle_that_is_as_good_as_the_one_it_replaces_is_released(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Bundle, data: Path
) -> None:
    replaces = str(tiny_model.directory())
    written, _ = export_int8(monkeypatch, exported, data, tmp_path / "bundle", 1.001, None, replaces)
    assert written.manifest.engines["openvino"] == ["f32", "int8"]
