"""Spark's event log to the times that a rate is made of.

A query scores if its plan has a pandas UDF of one of `SCORING`: `score` is ours and the plain job's, `predict` that of
Spark's `predict_batch_udf`. Its tasks that score are those of the stages with the operator `ArrowEvalPython`. Scoring
lasts from the start of the first such task to the end of the last such query; a query that writes ends when its files
are committed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCORING = ("score", "predict")
_OPERATOR = "ArrowEvalPython"
_UDF = re.compile(rf"Arguments: \[({'|'.join(SCORING)})\(")
_EXECUTION = "spark.sql.execution.id"


@dataclass(frozen=True)
class Timeline:
    """Times of one application, in seconds since the epoch."""

    session_ready: float
    #: None where no row was scored.
    scoring_start: float | None
    scoring_end: float | None
    #: Processor seconds of the JVM's task threads while they scored: taking results from Python, encoding Parquet.
    jvm_seconds: float
    #: Seconds of scoring in which no scoring task ran: planning, moving photos, committing.
    idle_seconds: float
    tasks: int


def read(folder: Path) -> Timeline:
    """Read the one event log in a folder.

    Raises:
        ValueError: there is none or more than one, or the application never had a session.
    """
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    if len(files) != 1:
        raise ValueError(f"Expected one event log in {folder}. Received: {sorted(path.name for path in files)}")
    return timeline([json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()])


def timeline(events: list[dict[str, Any]]) -> Timeline:
    """Return the times in the events of one application.

    Raises:
        ValueError: the application never had a session, or a query that scored did not end.
    """
    named: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        named.setdefault(event["Event"].rpartition(".")[2], []).append(event)
    if "SparkListenerBlockManagerAdded" not in named:
        raise ValueError("Expected an application that started. Received: no block manager in its event log")
    ready = min(event["Timestamp"] for event in named["SparkListenerBlockManagerAdded"]) / 1000
    queries = _scoring_stages(named)
    tasks = [event for event in named.get("SparkListenerTaskEnd", []) if event["Stage ID"] in queries]
    if not tasks:
        return Timeline(ready, None, None, 0.0, 0.0, 0)
    ends = {event["executionId"]: event["time"] for event in named.get("SparkListenerSQLExecutionEnd", [])}
    if not set(queries.values()) <= set(ends):
        raise ValueError(f"Expected queries {sorted(set(queries.values()))} to end. Received: ends of {sorted(ends)}")
    start = min(event["Task Info"]["Launch Time"] for event in tasks)
    end = max(ends[query] for query in {queries[event["Stage ID"]] for event in tasks})
    return Timeline(
        session_ready=ready,
        scoring_start=start / 1000,
        scoring_end=end / 1000,
        jvm_seconds=sum((event.get("Task Metrics") or {}).get("Executor CPU Time", 0) for event in tasks) / 1e9,
        idle_seconds=_idle(tasks, start, end) / 1000,
        tasks=len(tasks),
    )


def _idle(tasks: list[dict[str, Any]], start: int, end: int) -> int:
    """Return the milliseconds between `start` and `end` that lie within no task."""
    idle, covered = 0, start
    for launch, finish in sorted(
        (event["Task Info"]["Launch Time"], event["Task Info"]["Finish Time"]) for event in tasks
    ):
        idle += max(0, launch - covered)
        covered = max(covered, finish)
    return idle + max(0, end - covered)


def _scoring_stages(named: dict[str, list[dict[str, Any]]]) -> dict[int, int]:
    """Return the stages that score, each with its query."""
    scoring = {
        event["executionId"]
        for event in named.get("SparkListenerSQLExecutionStart", [])
        if _UDF.search(event["physicalPlanDescription"])
    }
    python = {
        event["Stage Info"]["Stage ID"] for event in named.get("SparkListenerStageSubmitted", []) if _python(event)
    }
    return {
        stage: int(event["Properties"][_EXECUTION])
        for event in named.get("SparkListenerJobStart", [])
        for stage in event["Stage IDs"]
        if stage in python and int(event["Properties"].get(_EXECUTION, -1)) in scoring
    }


def _python(stage_submitted: dict[str, Any]) -> bool:
    scopes = [rdd.get("Scope") for rdd in stage_submitted["Stage Info"]["RDD Info"]]
    return any(json.loads(scope)["name"] == _OPERATOR for scope in scopes if scope)
