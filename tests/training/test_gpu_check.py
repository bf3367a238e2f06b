"""The check of a host with a GPU, done on the CPU: what it writes, and that it fails without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashion_udf.errors import EnvironmentUnsupportedError
from training import gpu_check
from training.fitting import strategy
from training.gpu_check import Scale

tf = pytest.importorskip("tensorflow")

SMALL = Scale(device="CPU", rows=64, image_size=32, batch_sizes=(16,), steps=2)


def test_without_a_gpu_it_ends_with_a_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategy, "_GPU_FILES", ())
    with pytest.raises(EnvironmentUnsupportedError) as raised:
        gpu_check.run(Scale(), tmp_path)
    assert str(raised.value) == (
        "Expected a GPU that TensorFlow sees. Received: none; a machine without an NVIDIA GPU, or with "
        "CUDA_VISIBLE_DEVICES=-1"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(1800)
def test_each_check_writes_what_it_found(tmp_path: Path) -> None:
    import keras

    lines: list[str] = []
    try:
        passed = gpu_check.run(SMALL, tmp_path, lines.append)
    finally:
        keras.config.set_dtype_policy("float32")
    assert passed, "".join(lines)
    assert [line.split()[0] for line in lines] == [
        *("device", "step", "training", "training", "resume", "export"),
        *("speed", "speed", "speed"),
    ]
    assert "losses and gradient norms of 3 steps within 0.0e+00 of the CPU's" in lines[1]
    assert "batch 16, float32: " in lines[-3] and "batch 16, mixed_bfloat16: " in lines[-2]


def test_a_check_that_fails_says_what_it_found_and_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(gpu_check, "_first_steps", lambda scale, folder, device: 1 / 0)
    for name in ("_training", "_resume", "_export", "_speed"):
        monkeypatch.setattr(gpu_check, name, _named(name))
    assert not gpu_check.run(SMALL, tmp_path, lines.append)
    assert lines[1] == "step      FAILED: ZeroDivisionError: division by zero\n"
    assert [line.split()[0] for line in lines[2:]] == ["training", "resume", "export", "speed"]


def _named(name: str) -> object:
    def check(scale: Scale, folder: Path) -> list[str]:
        return ["done"]

    check.__name__ = name
    return check
