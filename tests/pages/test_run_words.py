"""What the page of a run says in words: of a run that failed only what it wanted to do."""

from __future__ import annotations

import pytest

from fashion_udf.config import JobConfig
from fashion_udf.pages import run_words
from fashion_udf.pages.figures import RunFigures

CONFIG = JobConfig.model_validate({"input": {"path": "/catalog"}, "output": {"path": "/out"}})
COUNTS = {"accepted": 10, "rejected": 0, "carried": 4, "scored": 6, "status.ok": 10}


@pytest.mark.parametrize(("code", "names"), [(1, ["to carry over", "to score"]), (3, ["carried over", "scored"])])
def test_a_failed_run_says_what_it_wanted_to_score(code: int, names: list[str]) -> None:
    figures = RunFigures("20261127T020000000000Z-00000000", code, "", "", histogram=[1] if code == 3 else None)
    told = run_words.with_words(figures, CONFIG, {"exit_code": code, "counts": COUNTS}, "/out/tags/data/x", {})
    assert [(step.name, step.rows) for step in told.funnel][3:5] == [*zip(names, (4, 6), strict=True)]
