"""Where a model trains: the choice, who writes, and what is refused before anything starts."""

from __future__ import annotations

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
