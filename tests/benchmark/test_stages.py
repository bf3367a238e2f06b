"""Seconds per stage, in one process."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.benchmark import catalogs, stages
from tests.benchmark.catalogs import Catalogs
from tests.submit import REPOSITORY

MEASURED = {"fetch", "decode", "tokenize", "predict", "assemble"}


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Catalogs:
    return catalogs.prepare(tmp_path_factory.mktemp("work"), 4, None)


def test_a_timer_sums_up_the_calls_of_a_stage_those_that_raise_too() -> None:
    timer = stages.Timer()
    assert timer.timed("decode", lambda seconds: time.sleep(seconds) or 7)(0.02) == 7
    with pytest.raises(ZeroDivisionError):
        timer.timed("decode", lambda: time.sleep(0.02) or 1 / 0)()
    assert 0.04 <= timer.seconds["decode"] < 10
    assert list(timer.seconds) == ["decode"]


@pytest.mark.parametrize("catalog", ["bytes", "uri"])
def test_a_mode_of_our_job_is_measured_in_a_process_of_its_own(catalog: str, products: Catalogs) -> None:
    seconds = stages.measure("openvino-f32", products.folder / catalog, "builtin", 4, REPOSITORY)
    assert seconds.keys() == MEASURED
    assert seconds["predict"] > 0 and seconds["decode"] > 0 and seconds["tokenize"] > 0
    assert (seconds["fetch"] > 0) == (catalog == "uri")


def test_a_mode_that_does_not_start_is_an_error_that_says_why(products: Catalogs) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Expected the stages of openvino-f64 .*Expected a precision"):
        stages.measure("openvino-f64", Path(products.folder / "bytes"), "builtin", 4, REPOSITORY)
