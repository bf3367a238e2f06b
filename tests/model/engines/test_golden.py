"""Golden rows: a host, a library or a bundle that computes otherwise is found before it scores a product."""

from __future__ import annotations

import dataclasses
import platform

import numpy as np
import pytest
from numpy.typing import NDArray

from fashion_udf.errors import BundleError, EngineError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import golden, registry
from fashion_udf.model.engines.prediction import Predict, Prediction
from fashion_udf.model.manifest import Parity


def altered_golden(model: Bundle, **columns: list[object]) -> Bundle:
    """A bundle with other golden rows of f32, and the same ones of int8."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = golden.read(model)
    for name, values in columns.items():
        field = golden.SCHEMA.field(name)
        table = table.set_column(table.schema.names.index(name), field, pa.array(values, field.type))
    precision = golden.SCHEMA.field("precision")
    reduced = table.set_column(0, precision, pa.array(["int8"] * len(table), precision.type))
    file = io.BytesIO()
    pq.write_table(pa.concat_tables([table, reduced]), file)
    return dataclasses.replace(model, files={**model.files, "golden.parquet": file.getvalue()})


def test_the_rows_run_at_start_hold_every_modality(model: Bundle) -> None:
    table = golden.read(model).slice(0, golden.START_ROWS)
    has = {
        (text is not None, image is not None)
        for text, image in zip(*map(pylist, (table["text"], table["image"])), strict=True)
    }
    assert has == {(True, True), (True, False), (False, True)}
    assert len(golden.read(model)) == 16


def pylist(column: object) -> list[object]:
    return column.to_pylist()  # type: ignore[attr-defined, no-any-return]


def test_all_golden_rows_are_reproduced(model: Bundle, engine: str) -> None:
    outcome = golden.differences(registry.build(engine, model, "f32", 1), model)
    assert outcome.same_top1.all() and len(outcome.largest) == 16
    assert outcome.largest.max() <= {"tensorflow": 1e-5, "openvino": 1e-4}[engine]


def test_a_host_that_computes_otherwise_is_named(model: Bundle) -> None:
    embedding = np.asarray(golden.read(model)["embedding"].to_pylist(), np.float32)
    embedding[5, 7] += 0.5
    wrong = altered_golden(model, embedding=list(embedding))
    with pytest.raises(
        EngineError, match="Expected openvino f32 to reproduce the golden rows of model .* within 0.001"
    ) as error:
        registry.create("openvino", wrong, "f32", 1)
    message = str(error.value)
    assert "a largest difference of 0.5 and 0 of 8 other categories" in message
    assert f"on host {platform.node()}, CPU " in message
    assert golden._cpu_model() in message and golden._cpu_model()


@pytest.mark.parametrize("column", ["probabilities", "attributes"])
def test_a_difference_in_any_output_counts(model: Bundle, column: str) -> None:
    values = np.asarray(golden.read(model)[column].to_pylist(), np.float32)
    values[3, -1] -= 0.25
    predict = registry.build("openvino", model, "f32", 1)
    outcome = golden.differences(predict, altered_golden(model, **{column: list(values)}))
    assert outcome.largest[3] == pytest.approx(0.25, abs=1e-3) and outcome.largest[:3].max() < 1e-3


def test_golden_rows_of_another_number_of_values_are_refused(model: Bundle) -> None:
    shorter = [values[:-1] for values in golden.read(model)["attributes"].to_pylist()]
    with pytest.raises(BundleError, match=r"Expected golden rows of 265 probabilities .* Received: 264. Export the"):
        registry.create("openvino", altered_golden(model, attributes=shorter), "f32", 1)


def test_another_best_category_is_refused_even_within_the_tolerance(model: Bundle) -> None:
    categories = golden.read(model)["category"].to_pylist()
    categories[2] = next(label for label in model.manifest.labels if label != categories[2])
    with pytest.raises(EngineError, match="and 1 of 8 other categories"):
        registry.create("openvino", altered_golden(model, category=categories), "f32", 1)


def test_an_engine_that_yields_nan_is_refused(model: Bundle) -> None:
    def predict(pixels: NDArray[np.uint8], present: NDArray[np.float32], token_ids: NDArray[np.int32]) -> Prediction:
        return Prediction(
            np.full((len(pixels), 256), np.nan, np.float32),
            np.full((len(pixels), len(model.manifest.labels) + 1), np.nan, np.float32),
            np.full((len(pixels), model.manifest.attribute_values), np.nan, np.float32),
        )

    with pytest.raises(EngineError, match="a largest difference of nan"):
        golden.require(predict, model, "openvino", "f32")


def test_golden_rows_of_another_form_are_refused(model: Bundle) -> None:
    for content, problem in (
        (b"PAR1", "to be a Parquet file"),
        (altered_golden(model).files["golden.parquet"][:-1], "Parquet"),
    ):
        with pytest.raises(BundleError, match=problem):
            golden.read(dataclasses.replace(model, files={"golden.parquet": content}))


def test_a_model_of_another_preprocessing_is_refused(model: Bundle) -> None:
    image = model.manifest.image.model_copy(update={"preprocessing_version": "0"})
    other = dataclasses.replace(model, manifest=model.manifest.model_copy(update={"image": image}))
    with pytest.raises(BundleError, match=r"preprocessing_version and max_tokens .* Received: \('0', 100\)"):
        registry.create("openvino", other, "f32", 1)


def test_a_tokenizer_with_more_ids_than_the_embedding_has_rows_is_refused(model: Bundle) -> None:
    text = model.manifest.text.model_copy(update={"vocabulary_size": 10})
    other = dataclasses.replace(model, manifest=model.manifest.model_copy(update={"text": text}))
    with pytest.raises(BundleError, match="Expected tokenizer.json with at most 10 ids. Received: "):
        registry.create("openvino", other, "f32", 1)


# --- int8 and bf16, of which the golden rows hold what the engine said at export ------------------------------------


def stating(model: Bundle, largest: float | None) -> Bundle:
    """A bundle whose export measured this for int8, with golden rows of int8."""
    facts = Parity(rows=16, same_top1=16, largest_difference=largest)
    parity = {**model.manifest.parity, "openvino int8": facts}
    changed = altered_golden(model)
    return dataclasses.replace(changed, manifest=model.manifest.model_copy(update={"parity": parity}))


def off_by(model: Bundle, difference: float) -> Predict:
    """An engine that is right but for one component of one embedding."""
    exact = registry.build("openvino", model, "f32", 1)

    def predict(*inputs: NDArray[np.generic]) -> Prediction:
        prediction = exact(*inputs)
        embedding = prediction.embedding.copy()
        embedding[3, 5] += difference
        return dataclasses.replace(prediction, embedding=embedding)

    return predict


def test_int8_may_differ_from_itself_by_a_quarter_of_what_it_differs_from_f32(model: Bundle) -> None:
    golden.require(off_by(model, 0.024), stating(model, 0.1), "openvino", "int8")
    with pytest.raises(
        EngineError,
        match="Expected openvino int8 to reproduce .* within 0.025, .* Received: a largest difference of 0.026",
    ):
        golden.require(off_by(model, 0.026), stating(model, 0.1), "openvino", "int8")


def test_int8_that_was_exact_at_export_may_round_otherwise_here(model: Bundle) -> None:
    golden.require(off_by(model, 0.0029), stating(model, 0.0), "openvino", "int8")
    with pytest.raises(EngineError, match="within 0.003, .* Received: a largest difference of 0.0031"):
        golden.require(off_by(model, 0.0031), stating(model, 0.0), "openvino", "int8")


def test_a_precision_has_golden_rows_of_its_own(model: Bundle) -> None:
    both = stating(model, 0.1)
    assert golden.read(both, "int8")["precision"].to_pylist() == ["int8"] * 16
    assert golden.read(both)["precision"].to_pylist() == ["f32"] * 16
    with pytest.raises(BundleError, match=r"at least 8 rows of bf16 .* Received: 0 of these"):
        golden.read(both, "bf16")


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_int8_that_says_the_same_of_every_row_is_refused(model: Bundle, value: float) -> None:
    def predict(pixels: NDArray[np.uint8], *_: NDArray[np.generic]) -> Prediction:
        return Prediction(
            np.full((len(pixels), 256), 1 / 16, np.float32),
            np.full((len(pixels), len(model.manifest.labels) + 1), value, np.float32),
            np.full((len(pixels), model.manifest.attribute_values), value, np.float32),
        )

    with (
        pytest.raises(EngineError, match="Expected openvino int8 to reproduce the golden rows"),
        np.errstate(invalid="ignore"),
    ):
        golden.require(predict, stating(model, golden.REDUCED_LIMIT), "openvino", "int8")


def test_int8_that_answers_in_another_order_is_refused(model: Bundle) -> None:
    exact = registry.build("openvino", model, "f32", 1)

    def predict(*inputs: NDArray[np.generic]) -> Prediction:
        found = exact(*inputs)
        return Prediction(*(np.roll(rows, 1, axis=0) for rows in (found.embedding, found.logits, found.attributes)))

    with pytest.raises(EngineError, match="Expected openvino int8 to reproduce the golden rows"):
        golden.require(predict, stating(model, golden.REDUCED_LIMIT), "openvino", "int8")


@pytest.mark.parametrize("largest", [None, golden.REDUCED_LIMIT + 0.01])
def test_a_manifest_that_states_too_much_for_int8_is_refused(model: Bundle, largest: float | None) -> None:
    with pytest.raises(BundleError, match=f"openvino int8 a parity with .* at most 0.25. Received: {largest}"):
        golden.tolerance(stating(model, largest).manifest, "openvino", "int8")


def test_a_manifest_that_states_nothing_for_bf16_is_refused(model: Bundle) -> None:
    with pytest.raises(BundleError, match="openvino bf16 a parity with .* Received: None. Export the bundle again"):
        golden.tolerance(model.manifest, "openvino", "bf16")
