"""Checkpoints: the newest complete one is restored, and half of one never is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.errors import ConfigError
from training.fitting import checkpoint
from training.fitting.checkpoint import Position


class _Variable:
    """What a checkpoint needs of a Keras variable."""

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        self.value = np.asarray(value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def assign(self, value: Any) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.value


def _variables(number: float) -> list[Any]:
    # Two variables of one path: layers of a nested model do have that.
    values = [np.full((2, 3), number, np.float32), np.float32(number), np.array([7, 8], np.uint32)]
    return [_Variable(path, value) for path, value in zip(["a/kernel", "a/kernel", "seed"], values, strict=True)]


def _saved(folder: Path, *totals: int) -> list[Position]:
    positions = [Position(total_steps=total, epoch=1, step=total, loss=0.5 * total, hits=3) for total in totals]
    for position in positions:
        checkpoint.save(folder, position, _variables(position.total_steps))
    return positions


def test_the_newest_checkpoint_is_restored_with_its_position(tmp_path: Path) -> None:
    *_, last = _saved(tmp_path, 1, 2, 3)
    variables = _variables(0)
    assert checkpoint.restore(tmp_path, variables) == last
    assert variables[0].value.tolist() == [[3.0] * 3] * 2
    assert variables[1].value == 3.0
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["00000002.json", "00000003.json"]


def test_without_a_checkpoint_a_run_starts_and_nothing_is_assigned(tmp_path: Path) -> None:
    variables = _variables(0)
    assert checkpoint.restore(tmp_path / "none", variables) == Position()
    assert not variables[0].value.any()


@pytest.mark.parametrize("damage", ["no data", "short data", "other data", "half a manifest"])
def test_a_half_written_checkpoint_is_ignored_and_told(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before, _ = _saved(tmp_path, 5, 6)
    data, manifest = tmp_path / "00000006.safetensors", tmp_path / "00000006.json"
    content = data.read_bytes()
    if damage == "no data":
        data.unlink()
    elif damage == "half a manifest":
        manifest.write_bytes(manifest.read_bytes()[:40])
    else:
        data.write_bytes(content[:-4] if damage == "short data" else content[:-1] + b"!")
    variables = _variables(0)
    with caplog.at_level(logging.WARNING, "training"):
        assert checkpoint.restore(tmp_path, variables) == before
    assert variables[1].value == 5.0
    assert "checkpoint 00000006 is incomplete and ignored" in caplog.text


def test_what_a_killed_process_left_is_removed_by_the_next_save(tmp_path: Path) -> None:
    _saved(tmp_path, 1)
    (tmp_path / ".00000002.safetensors.abc.tmp").write_bytes(b"half")
    (tmp_path / "00000002.safetensors").write_bytes(b"whole, but without its manifest")
    _saved(tmp_path, 3)
    assert {path.stem for path in tmp_path.iterdir()} == {"00000001", "00000003"}


def test_a_checkpoint_of_other_variables_is_refused(tmp_path: Path) -> None:
    _saved(tmp_path, 1)
    with pytest.raises(ConfigError, match="Expected checkpoint 00000001 to hold the variables of this recipe"):
        checkpoint.restore(tmp_path, _variables(0)[:2])


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 8)), max_size=20))
def test_figures_are_means_over_the_steps_of_the_epoch(steps: list[tuple[float, int]]) -> None:
    position = Position(total_steps=100, epoch=4)
    for loss, hits in steps:
        position = position.after(1, loss, hits)
    assert (position.total_steps, position.step, position.epoch) == (100 + len(steps), len(steps), 4)
    together = Position(total_steps=100, epoch=4).after(
        len(steps), sum(loss for loss, _ in steps), sum(hits for _, hits in steps)
    )
    assert together.model_dump() == pytest.approx(position.model_dump())
    figures = position.figures(batch_size=8)
    assert figures["loss"] == pytest.approx(sum(loss for loss, _ in steps) / max(len(steps), 1))
    assert figures["accuracy"] == pytest.approx(sum(hits for _, hits in steps) / max(8 * len(steps), 1))
