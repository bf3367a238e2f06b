"""Spark's event log to the seconds of scoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark import event_log

_SQL = "org.apache.spark.sql.execution.ui.SparkListenerSQLExecution"


def _query(number: int, udf: str, start: int, tasks: list[tuple[int, int]], end: int) -> list[dict[str, Any]]:
    """A query of one job and one stage, in the form of Spark 4.0.4; times in milliseconds."""
    plan = f"(13) ArrowEvalPython\nInput [2]: [title#1, image#3]\nArguments: [{udf}(title#1, image#3)#75], [p#96], 204"
    scopes = [{"Scope": json.dumps({"id": "8", "name": name})} for name in ("WriteFiles", "ArrowEvalPython")]
    return [
        {"Event": f"{_SQL}Start", "executionId": number, "time": start, "physicalPlanDescription": plan},
        {
            "Event": "SparkListenerJobStart",
            "Stage IDs": [10 * number, 10 * number + 1],
            "Properties": {"spark.sql.execution.id": str(number)},
        },
        {"Event": "SparkListenerStageSubmitted", "Stage Info": {"Stage ID": 10 * number, "RDD Info": [{"Name": "x"}]}},
        {"Event": "SparkListenerStageSubmitted", "Stage Info": {"Stage ID": 10 * number + 1, "RDD Info": scopes}},
        {
            "Event": "SparkListenerTaskEnd",
            "Stage ID": 10 * number,  # reads the catalog
            "Task Info": {"Launch Time": start, "Finish Time": tasks[0][0]},
            "Task Metrics": {"Executor CPU Time": 7_000_000_000},
        },
        *(
            {
                "Event": "SparkListenerTaskEnd",
                "Stage ID": 10 * number + 1,
                "Task Info": {"Launch Time": launch, "Finish Time": finish},
                "Task Metrics": {"Executor CPU Time": 500_000_000},
            }
            for launch, finish in tasks
        ),
        {"Event": f"{_SQL}End", "executionId": number, "time": end},
    ]


_STARTED = {"Event": "SparkListenerBlockManagerAdded", "Timestamp": 1_000}


def test_scoring_lasts_from_the_first_scoring_task_to_the_end_of_the_last_query_that_scores() -> None:
    events = [
        _STARTED,
        *_query(1, "score", 4_000, [(5_000, 9_000), (5_500, 8_000)], 10_000),
        *_query(2, "predict", 11_000, [(12_000, 14_000)], 14_500),
    ]
    found = event_log.timeline(events)
    assert (found.session_ready, found.scoring_start, found.scoring_end) == (1.0, 5.0, 14.5)
    assert (found.jvm_seconds, found.idle_seconds, found.tasks) == (1.5, 3.5, 3)


def test_a_query_with_another_pandas_udf_does_not_score() -> None:
    events = [_STARTED, *_query(1, "identities", 4_000, [(5_000, 9_000)], 10_000)]
    assert event_log.timeline(events).scoring_start is None


def test_a_query_that_scored_and_never_ended_is_an_error() -> None:
    events = [_STARTED, *_query(1, "score", 4_000, [(5_000, 9_000)], 10_000)[:-1]]
    with pytest.raises(ValueError, match=r"Expected queries \[1\] to end. Received: ends of \[\]"):
        event_log.timeline(events)


def test_an_application_that_never_had_a_session_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expected an application that started"):
        event_log.timeline([{"Event": "SparkListenerLogStart"}])


def test_a_folder_holds_one_event_log(tmp_path: Path) -> None:
    (tmp_path / "local-1").write_text(json.dumps(_STARTED) + "\n", encoding="utf-8")
    (tmp_path / ".local-1.crc").write_bytes(b"")
    assert event_log.read(tmp_path).session_ready == 1.0
    (tmp_path / "local-2").write_bytes(b"")
    with pytest.raises(ValueError, match=r"Expected one event log in .*Received: \['local-1', 'local-2'\]"):
        event_log.read(tmp_path)
