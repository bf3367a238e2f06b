"""Hard swishes: near the swish they replace, for the values that photos give, and only where that was decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fashion_udf.model.engines.openvino import load_openvino
from training.release import hard_swish
from training.release.hard_swish import fit, replace

CHANNELS = 40


def swish(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values / (1.0 + np.exp(-values))


def fitted(parameters: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c, d = parameters
    return c * hard_swish.hard_swish(a * values + b) + d


def rms(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))


# --- the fit -------------------------------------------------------------------------------------------------------


def test_a_hard_swish_is_zero_up_to_minus_three_and_the_value_itself_from_three_on() -> None:
    values = np.array([-9.0, -3.0, -1.5, 0.0, 3.0, 9.0])
    assert hard_swish.hard_swish(values).tolist() == [0.0, 0.0, -0.375, 0.0, 3.0, 9.0]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.floats(0.3, 3))
def test_a_fit_is_nearer_to_the_swish_than_the_plain_hard_swish(seed: int, mean: float, spread: float) -> None:
    values = np.random.default_rng(seed).normal(mean, spread, 2000)
    error = rms(fitted(fit(values, swish(values)), values) - swish(values))
    plain = rms(hard_swish.hard_swish(values) - swish(values))
    assert error < plain and error < 0.08


def test_for_values_of_mean_zero_and_spread_one_the_error_is_a_twenty_fifth_of_the_spread_of_the_swish() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    assert rms(fitted(fit(values, swish(values)), values) - swish(values)) < swish(values).std() / 25


@pytest.mark.parametrize("value", [-20.0, 0.0, 4.0])
def test_a_channel_without_change_gets_its_value_and_stays_near_the_plain_hard_swish(value: float) -> None:
    values = np.full(100, value)
    parameters = fit(values, swish(values))
    assert np.abs(parameters - [1, 0, 1, 0]).max() < 0.5
    assert np.abs(fitted(parameters, values) - swish(values)).max() < 0.01


# --- the graph -----------------------------------------------------------------------------------------------------


def graph(channels: int = CHANNELS) -> Any:
    """A convolution and a swish, then a convolution and a swish of one place, as a gate has."""
    from openvino import Model, opset8

    rng = np.random.default_rng(0)
    image = opset8.parameter([-1, 3, -1, -1], np.float32, name="image")
    first = opset8.constant(rng.normal(0, 0.5, (channels, 3, 3, 3)).astype(np.float32))
    maps = opset8.swish(opset8.convolution(image, first, [1, 1], [0, 0], [0, 0], [1, 1]))
    mean = opset8.reduce_mean(maps, np.array([2, 3]), keep_dims=True)
    gate = opset8.constant(rng.normal(0, 0.5, (channels, channels, 1, 1)).astype(np.float32))
    product = opset8.multiply(maps, opset8.swish(opset8.convolution(mean, gate, [1, 1], [0, 0], [0, 0], [1, 1])))
    return Model([product], [image])


def photos(number: int) -> list[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(1)
    return [{"image": rng.normal(size=(1, 3, 12, 12)).astype(np.float32)} for _ in range(number)]


def kinds(made: Any) -> list[str]:
    return sorted(one.get_type_name() for one in made.get_ops() if "Swish" in one.get_type_name())


def outputs(made: Any, row: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    compiled = load_openvino().Core().compile_model(made, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled(row)[0])


def test_the_swish_of_a_map_is_replaced_that_of_a_gate_stays_and_results_hardly_change() -> None:
    original, made = graph(), graph()
    replace(made, photos(20))
    assert (kinds(original), kinds(made)) == (["Swish", "Swish"], ["HSwish", "Swish"])
    unseen = photos(21)[-1]
    expected = outputs(original, unseen)
    assert 0 < rms(outputs(made, unseen) - expected) < 0.1 * expected.std()


@pytest.mark.parametrize("channels", [32, 1000])
def test_maps_next_to_the_pixels_and_the_smallest_ones_keep_their_swish(channels: int) -> None:
    made = graph(channels)
    replace(made, photos(1))
    assert kinds(made) == ["Swish", "Swish"]


def test_a_later_fit_takes_back_what_an_earlier_one_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two swishes in a row: the second is fitted to the original values from those that the first one leaves."""
    from openvino import Model, opset8

    seen = []

    def record(values: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
        seen.append((values, targets))
        return np.array([1.0, 0.0, 1.0, 0.5])  # wrong by a half

    monkeypatch.setattr(hard_swish, "fit", record)
    image = opset8.parameter([-1, CHANNELS, -1, -1], np.float32, name="image")
    made = Model([opset8.swish(opset8.swish(image))], [image])
    rows = [{"image": np.random.default_rng(0).normal(size=(1, CHANNELS, 5, 5)).astype(np.float32)}]
    replace(made, rows)
    (first, _), (second, targets) = seen[0], seen[CHANNELS]
    assert np.allclose(second, hard_swish.hard_swish(first) + 0.5, atol=1e-5)
    assert np.allclose(targets, swish(swish(first)), atol=1e-5)
