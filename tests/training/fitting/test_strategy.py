"""Where a model trains: the choice, who writes, and what is refused before anything starts."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fashion_udf.errors import ConfigError
from training.fitting import strategy


def _strategy(task_type: str | None, task_id: int | None, jobs: list[str]) -> Any:
    cluster = SimpleNamespace(jobs=jobs)
    resolver = SimpleNamespace(task_type=task_type, task_id=task_id, cluster_spec=lambda: cluster)
    return SimpleNamespace(cluster_resolver=resolver, num_replicas_in_sync=3)


@pytest.mark.parametrize(
    ("task_type", "task_id", "jobs", "chief"),
    [
        ("worker", 0, ["worker"], True),
        ("worker", 1, ["worker"], False),
        ("worker", 0, ["chief", "worker"], False),
        ("chief", 0, ["chief", "worker"], True),
        (None, None, [], True),
    ],
)
def test_the_chief_or_else_the_first_worker_writes(
    task_type: str | None, task_id: int | None, jobs: list[str], chief: bool
) -> None:
    assert strategy.is_chief(_strategy(task_type, task_id, jobs)) is chief


def test_a_strategy_without_a_cluster_writes() -> None:
    assert strategy.is_chief(SimpleNamespace(cluster_resolver=None))  # type: ignore[arg-type]


def test_a_batch_that_replicas_cannot_share_equally_is_refused() -> None:
    with pytest.raises(ConfigError, match="Expected batch_size to be a multiple of 3 replicas. Received: 32"):
        strategy.distribute(_strategy("worker", 0, ["worker"]), 32, lambda size, index, count: None)


@pytest.mark.parametrize(
    "tf_config",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
    ],
)
def test_a_tf_config_that_names_no_worker_is_refused(tf_config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(ConfigError, match='Expected TF_CONFIG like {"cluster": .* Received: ') as caught:
        strategy.choose_strategy()
    assert str(caught.value).endswith(tf_config)


@pytest.fixture
def gpu_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a driver makes, of a machine whose TensorFlow sees no GPU."""
    file = tmp_path / "nvidia0"
    file.touch()
    monkeypatch.setattr(strategy, "_GPU_FILES", (str(file.relative_to("/")), "dev/none*"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return file


def test_a_gpu_that_tensorflow_does_not_see_is_named_with_what_to_do(
    gpu_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorflow")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with caplog.at_level(logging.WARNING):
        strategy.choose_strategy()
    (record,) = [record for record in caplog.records if record.name == strategy.__name__]
    assert record.getMessage() == (
        f"training runs on the CPU, although this machine has an NVIDIA GPU ({gpu_file}): TensorFlow finds no CUDA. "
        "Run .venv-training/bin/pip install '.[training-gpu]'. If this does not help, run "
        "python -c 'import tensorflow'. CUDA_VISIBLE_DEVICES=-1 trains on the CPU without this warning"
    )


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_gpu_that_is_hidden_on_purpose_is_not_missed(
    gpu_file: Path, visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert strategy.unused_gpu() is None


def test_a_machine_without_a_gpu_misses_none(gpu_file: Path) -> None:
    assert strategy.unused_gpu() is not None
    gpu_file.unlink()
    assert strategy.unused_gpu() is None
