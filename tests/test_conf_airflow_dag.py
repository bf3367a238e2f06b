"""The DAG tells failures that a retry can mend from those that it cannot; Airflow itself is not installed here."""

from __future__ import annotations

import runpy
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.submit import REPOSITORY


class AirflowException(Exception):  # noqa: N818  # Airflow's own name
    pass


class AirflowFailException(Exception):  # noqa: N818
    pass


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    modules = {name: ModuleType(name) for name in ("airflow", "airflow.exceptions", "airflow.sdk")}
    vars(modules["airflow.exceptions"]).update(
        AirflowException=AirflowException, AirflowFailException=AirflowFailException
    )
    vars(modules["airflow.sdk"]).update(dag=lambda **settings: lambda function: function, task=_task)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return runpy.run_path(str(REPOSITORY / "conf" / "airflow_dag.py"))


class _Called:
    def __init__(self, command: list[str]) -> None:
        self.command = command

    def __rshift__(self, other: _Called) -> _Called:
        return other


def _task(function: Any, task_id: str) -> Any:
    assert task_id in ("tag", "expire")
    return _Called


FAILURES = {1: AirflowException, 2: AirflowFailException, 3: AirflowFailException, 4: AirflowException}


@pytest.mark.parametrize(("code", "error"), [(0, None), *FAILURES.items()])
def test_only_what_a_retry_can_mend_is_retried(dag: dict[str, Any], code: int, error: type[Exception] | None) -> None:
    dag["run"].__globals__["PROJECT"] = "."
    command = [sys.executable, "-c", f"raise SystemExit({code})"]
    if error is None:
        dag["run"](command)
        return
    with pytest.raises(error, match=f"exit code {code}"):
        dag["run"](command)


def test_its_commands_are_scripts_of_this_project(dag: dict[str, Any]) -> None:
    for command in (dag["TAG"], dag["EXPIRE"]):
        assert (REPOSITORY / command[1]).is_file()
    assert (REPOSITORY / dag["TAG"][3]).is_file()
