"""What a page takes from the reports of earlier runs, and that a damaged report spoils no page."""

from __future__ import annotations

import json

from fashion_udf.config import JobConfig
from fashion_udf.pages import former_runs, inputs
from fashion_udf.pages.figures import Difference
from fashion_udf.table.memory_store import MemoryStore


def _store(reports: dict[str, object]) -> MemoryStore:
    texts = {key: value if isinstance(value, bytes) else json.dumps(value).encode() for key, value in reports.items()}
    return MemoryStore(objects={f"runs/{key}": text for key, text in texts.items()})


class _Listing(MemoryStore):
    """An in-memory store that also lists directories, as every real one does."""

    def list_names(self, prefix: str) -> list[str]:
        under = [key.removeprefix(prefix + "/") for key in self.objects if key.startswith(prefix + "/")]
        return sorted({name.split("/")[0] for name in under})


def test_a_run_is_a_line_of_counts_and_shares() -> None:
    metrics = {
        "rows": 200,
        "decisions": {"auto": 100, "review": 60, "abstain": 40},
        "statuses": {"ok": 180, "image_none": 10, "image_corrupt": 10},
        "seconds": {"plan": 1.5, "score": 2.5},
    }
    report = former_runs.Report("r1", {"exit_code": 3, "counts": {"scored": 7}}, metrics)
    line = former_runs.line(report)
    assert (line.exit_code, line.rows, line.scored, line.seconds) == (3, 200, 7, 4.0)
    assert (line.auto, line.review, line.abstain, line.failed) == (0.5, 0.3, 0.2, 0.05)


def test_a_damaged_report_is_an_empty_one() -> None:
    texts = {
        "r1/outcome.json": b"{",
        "r1/metrics.json": [1],
        "r2/outcome.json": {"exit_code": 0},
        "r3/metrics.json": b"\xff",
    }
    store = _Listing(objects=_store(texts).objects)("")
    found = former_runs.read(store, 2)
    assert [(report.run_id, report.outcome, report.metrics) for report in found] == [
        ("r2", {"exit_code": 0}, {}),
        ("r3", {}, {}),
    ]
    assert [former_runs.line(report).rows for report in found] == [None, None]


def test_a_run_of_similar_products_has_no_page_and_is_in_no_list() -> None:
    texts = {
        "r1/outcome.json": {"exit_code": 0, "counts": {"accepted": 3, "scored": 3}},
        "r2/outcome.json": {"exit_code": 0, "counts": {"tags": 3, "compared": 3}},
    }
    store = _Listing(objects=_store(texts).objects)("")
    assert [report.run_id for report in former_runs.read(store, 30)] == ["r1"]


def test_a_failed_run_has_scored_an_unknown_number() -> None:
    outcome = {"exit_code": 1, "counts": {"accepted": 3, "scored": 3}}
    assert former_runs.line(former_runs.Report("r1", outcome, {})).scored is None


def test_the_newest_histogram_is_compared_also_after_a_quiet_night() -> None:
    texts = {
        "r1/figures.json": {"histogram": [1, 2], "inputs": {"a": "1"}},
        "r2/figures.json": {"histogram": None, "inputs": {"a": "2"}},
    }
    store = _Listing(objects=_store(texts).objects)("")
    newest, histogram = former_runs.newest_figures(store, former_runs.read(store, 30))
    assert newest["inputs"] == {"a": "2"} and histogram == [1, 2]


def test_inputs_name_every_key_and_no_password() -> None:
    tree = {"input": {"path": "https://user:secret@shop.example/c"}, "output": {"path": "out"}}
    told = inputs.told(JobConfig.model_validate(tree), {"model_version": "m"})
    assert told["config.input.path"] == "https://shop.example/c" and "secret" not in str(told)
    assert told["config.gates.max_flips"] == "0.1" and told["model_version"] == "m"


def test_a_failed_run_does_not_differ_in_what_it_never_learned() -> None:
    before, now = {"model_version": "m1", "a": "1", "gone": "x"}, {"a": "2", "came": "y"}
    assert inputs.differences(before, now) == [
        Difference("a", "1", "2"),
        Difference("came", "none", "y"),
        Difference("gone", "x", "none"),
    ]
