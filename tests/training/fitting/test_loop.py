"""The loop survives: killed at any step, also while it saves, a run ends as one that was never killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import training_set
from tests.loopback import free_ports
from tests.soak import SOAK, rounds
from tests.submit import REPOSITORY

#: Epochs of five steps. A kill costs a start of TensorFlow.
EPOCHS = 100 if SOAK else 2
#: A checkpoint after every step.
RECIPE = {
    "vocabulary_size": 300,
    "batch_size": 16,
    "warmup_epochs": 0,
    "checkpoint_minutes": 0,
    "stages": [{"image_size": 32, "epochs": 2}],
    "loss_weights": {"words": 0.5},
    "outliers": {"photos": 6, "titles": 10},
}


def _start(data: Path, run: Path, changes: dict[str, object], **environment: str) -> subprocess.Popen[str]:
    config = run.parent / f"{run.name}.yaml"
    config.write_text(yaml.safe_dump({**RECIPE, "data": str(data), "output": str(run), **changes}))
    return subprocess.Popen(
        [sys.executable, "-m", "training.train", "--config", str(config)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def _kill_when(process: subprocess.Popen[str], due: Callable[[], bool]) -> bool:
    """Kill -9 as soon as `due`; False when the run ended before."""
    while process.poll() is None and not due():
        time.sleep(0.002)
    killed = process.poll() is None
    process.kill()
    process.communicate()
    return killed


def _steps(run: Path) -> int:
    done = [json.loads(path.read_text())["total_steps"] for path in (run / "checkpoints").glob("*.json")]
    return max(done, default=0)


def _saving(run: Path, after: int) -> bool:
    names = [path.name for path in (run / "checkpoints").glob("*")]
    whole = {name for name in names if name.endswith((".json", ".safetensors")) and not name.startswith(".")}
    return len(whole) < len(names) and _steps(run) >= after


def _history(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def _ended(*processes: subprocess.Popen[str]) -> list[str]:
    logs = [process.communicate(timeout=1500)[1] for process in processes]
    for process, log in zip(processes, logs, strict=True):
        assert process.returncode == 0, log[-3000:]
    return logs


@pytest.mark.soak
@pytest.mark.timeout(0 if SOAK else 1800)
def test_a_run_killed_at_any_step_ends_as_one_that_was_not(tmp_path: Path) -> None:
    data = training_set.write(tmp_path / "data")
    longer: dict[str, object] = {"stages": [{"image_size": 32, "epochs": EPOCHS}]}
    (log,) = _ended(_start(data, tmp_path / "whole", longer))
    assert "epoch 1: trained 80 of 80 rows (100 %)" in log
    assert "loss " in log

    run, seen = tmp_path / "killed", 0
    assert _kill_when(_start(data, run, longer), lambda: _saving(run, after=1)), "ended before it saved"
    for _, draws in rounds("kills of training", 1):
        seen, before = _steps(run), seen
        assert seen >= before
        started, delay = time.monotonic(), draws.uniform(0, 0.5)

        def due(seen: int = seen, started: float = started, delay: float = delay) -> bool:
            return _steps(run) > seen and time.monotonic() - started > delay

        if not _kill_when(_start(data, run, longer), due):
            break  # the run has ended
    _ended(_start(data, run, longer))

    expected, received = _history(tmp_path / "whole"), _history(run)
    assert [line["epoch"] for line in received] == [*range(EPOCHS)]
    for one, other in zip(expected, received, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=2e-3)
        assert other["accuracy"] == pytest.approx(one["accuracy"], abs=0.05)
    assert (run / "weights.safetensors").exists()
    assert list((run / "tensorboard").glob("events*"))


@pytest.mark.timeout(1200)
def test_two_workers_train_one_model_end_together_and_the_chief_writes_it(tmp_path: Path) -> None:
    data, run = training_set.write(tmp_path / "data"), tmp_path / "run"
    # Nothing moves, so that the first epoch stays the best one: the run ends after the second of four.
    still: dict[str, object] = {"learning_rate": 1e-12, "batch_norm_momentum": 1 - 1e-9, "validation_rows": 8}
    still |= {"stages": [{"image_size": 32, "epochs": 4}], "keep": "best", "patience": 1}
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in (0, 1)]
    for log in _ended(*[_start(data, run, still, TF_CONFIG=json.dumps(task)) for task in tasks]):
        assert "strategy: MultiWorkerMirroredStrategy, 2 replica(s)" in log
        chief = "the run ends early; epochs since the best one: 1" in log
        assert ("kept: epoch 1, of validation " in log) is chief
    assert [line["epoch"] for line in _history(run)] == [0, 1]
    assert (run / "weights.safetensors").exists()
    assert _steps(run) == 10


def test_another_recipe_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    data = training_set.write(tmp_path / "data")
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(yaml.safe_dump({"seed": 8}))
    process = _start(data, run, {})
    _, log = process.communicate()
    assert process.returncode == 2
    assert (
        f"error: Expected the run in {run} to continue with its first settings (recipe.yaml). Received: another " in log
    )
    assert "Choose another output for another run" in log
