"""Runs to the printed tables."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.benchmark import tables
from tests.benchmark.event_log import Timeline
from tests.benchmark.measured_rows import CEILING, PLAIN, ROWS, Run
from tests.benchmark.nights import CHANGED, FULL, Night
from tests.benchmark.stages import STAGES
from tests.benchmark.submitted import Submitted

CORES = 2


def _run(name: str, seconds: float, worker_bytes: int = 400_000_000) -> Run:
    """A run of 100 rows."""
    timeline = Timeline(10.0, 20.0, 20.0 + seconds, jvm_seconds=1.0, idle_seconds=0.5, tasks=4)
    done = Submitted(seconds + 10, seconds + 5, timeline, worker_bytes, 900_000_000, 1.5)
    return Run(name, 100 / seconds, seconds, None if name == CEILING else done, None)


def _summaries(stages: Mapping[str, Mapping[str, float]]) -> dict[str, tables.Summary]:
    runs = [_run(PLAIN, 20.0), _run("openvino-f32", 4.0), _run("openvino-f32", 5.0, 500_000_000)]
    runs += [_run("openvino-f32", 9.0), _run(CEILING, 2.5)]
    return tables.summarize(runs, CORES, stages, {PLAIN: 9.0}, {"openvino-f32": 0.998})


def test_a_row_has_its_median_and_its_ratios_to_the_plain_job_and_the_ceiling() -> None:
    row = _summaries({})["openvino-f32"]
    assert (row.rows_per_second, row.scoring_seconds, row.process_seconds) == (20.0, 5.0, 15.0)
    assert (row.to_plain, row.to_ceiling) == (4.0, 0.5)
    assert (row.worker_bytes, row.same_categories, row.first_row_seconds) == (500_000_000, 0.998, None)


def test_the_stages_add_up_to_the_time_of_all_cores_and_the_longest_is_named() -> None:
    row = _summaries({"openvino-f32": {"fetch": 0.0, "decode": 0.01, "predict": 0.03, "tokenize": 0.0}})["openvino-f32"]
    assert row.stages is not None and tuple(row.stages) == STAGES
    assert sum(row.stages.values()) == pytest.approx(CORES * 5.0 / 100)
    assert row.stages["write"] == pytest.approx(1.0 / 100)
    assert row.stages["rest"] == pytest.approx(0.1 - 0.01 - 0.03 - 0.01)
    assert row.bottleneck == "rest"


def test_rows_without_a_plain_job_have_no_ratio() -> None:
    row = tables.summarize([_run("openvino-f32", 4.0)], CORES, {}, {}, {})["openvino-f32"]
    assert (row.to_plain, row.to_ceiling, row.stages, row.bottleneck) == (None, None, None, None)


def test_the_tables_fit_a_terminal_and_say_why_a_row_is_missing() -> None:
    summaries = tables.summarize([_run(name, 4.0) for name in ROWS], CORES, {}, {}, {})
    stages = {name: dict.fromkeys(STAGES[:5], 0.9999) for name in ROWS if name != CEILING}
    wide = tables.summarize([_run(name, 4000.0) for name in ROWS], CORES, stages, dict.fromkeys(ROWS, 99.9), {})
    text = tables.speed(summaries, {"openvino-int8": "the bundle does not offer openvino int8"})
    assert "our job, openvino int8: not measured: the bundle does not offer openvino int8\n" in text
    nights = [Night(FULL, 100_000, 100_000, 2000.0, 2010.0, 10**9), Night(CHANGED, 100_000, 1000, 40.0, 50.0, 10**9)]
    printed = text + tables.speed(wide, {}) + tables.stage_times(wide) + tables.night_times(nights)
    assert max(map(len, printed.splitlines())) <= tables.WIDTH
    assert "2.0" in tables.night_times(nights).splitlines()[-1]
    other = tables.night_times([*nights, Night("another table", 10, 0, 40.0, 50.0, 987_654_321)]).splitlines()[-1]
    assert other.split()[-2:] == ["-", "988"], "a night on another table is no part of the full one"
    heads = [line for line in text.splitlines() if line.startswith("scoring")]
    assert len(heads) == 1 and len(text.splitlines()) == 2 + len(ROWS) + 1
