"""What is measured, in which order, and what must hold of the results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fashion_udf.model import bundle
from tests.benchmark import __main__ as command
from tests.benchmark import measured_rows, measurement
from tests.benchmark.agreement import Tag
from tests.benchmark.catalogs import Catalogs
from tests.benchmark.measured_rows import CEILING, DAFT, PLAIN, REFERENCE, ROWS, Options, Run
from tests.benchmark.measurement import NIGHTS, Measured

_CATALOGS = Catalogs([], Path("photos"), Path("catalog"))


def _options(work: Path = Path("work"), runs: int = 2) -> Options:
    return Options(rows=4, runs=runs, bundle="builtin", master="local[2]", night_rows=40, quiet_rows=40, work=work)


def _no_single_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what starts a process."""
    monkeypatch.setattr(measurement, "_stages", lambda *_: {})
    monkeypatch.setattr(measurement, "_first_rows", lambda *_: {})


def test_the_cores_are_those_of_the_master() -> None:
    assert _options().cores == 2
    with pytest.raises(ValueError, match=r"Expected --master local\[N\].*Received: 'yarn'"):
        _ = Options(4, 2, "builtin", "yarn", 40, 40, Path("work")).cores


def test_a_precision_that_the_bundle_or_the_cpu_lacks_is_named() -> None:
    model = bundle.read("builtin")
    assert measured_rows.missing("tag_catalog", "openvino-f32", model) is None
    assert measured_rows.missing("plain_job", "pandas_udf", model) is None
    assert measured_rows.missing("tag_catalog", "openvino-f64", model) == "the bundle does not offer openvino f64"
    assert measured_rows.missing("tag_catalog", "onnx-f32", model) == "the bundle does not offer onnx f32"


def test_a_tool_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bundle.read("builtin")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert measured_rows.missing(DAFT, "openvino-f32", model) == "pip install daft"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert measured_rows.missing(DAFT, "openvino-f32", model) is None


def test_runs_are_interleaved_and_the_reference_is_always_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run(name: str, *_: object) -> Run:
        order.append(name)
        return Run(name, 10.0, 1.0, None, None)

    monkeypatch.setattr(measured_rows, "run", run)
    _no_single_runs(monkeypatch)
    lines: list[str] = []
    found = measurement.measure((PLAIN,), _CATALOGS, bundle.read("builtin"), _options(), lines.append)
    assert order == [REFERENCE, PLAIN] * 2
    assert [run.row for run in found.runs] == order
    assert "run 2 of 2: plain: 10.0 rows/s" in lines


@pytest.mark.parametrize(("same", "problems"), [(199, 0), (198, 1)])
def test_another_category_than_the_references_in_too_many_rows_is_a_problem(
    same: int, problems: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, *_: object) -> Run:
        kept = 200 if name == REFERENCE else same
        return Run(name, 10.0, 1.0, None, {str(n): Tag("Ties" if n < kept else "Hats", 0.9, 0.5) for n in range(200)})

    monkeypatch.setattr(measured_rows, "run", run)
    _no_single_runs(monkeypatch)
    monkeypatch.setattr(measurement, "_reordered", lambda *_: {str(n): Tag("Ties", 0.9, 0.5) for n in range(200)})
    only = (PLAIN, "openvino-f32")  # the plain job decodes otherwise: its share is shown, and no promise of ours
    found = measurement.measure(only, _CATALOGS, bundle.read("builtin"), _options(runs=1), lambda line: None)
    assert found.summaries["openvino-f32"].same_categories == same / 200
    assert found.summaries[PLAIN].same_categories == same / 200
    shares = [problem for problem in found.problems if "category in at least" in problem]
    assert len(shares) == problems
    for problem in shares:
        assert "Expected openvino-f32 to give tensorflow-f32's category" in problem and "Received: 99.00 %" in problem


@pytest.mark.parametrize(("confidence", "problems"), [(0.9, 0), (0.8, 1)])
def test_results_that_depend_on_the_batch_are_a_problem(
    confidence: float, problems: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {"a": Tag("Ties", 0.9, 0.5)}
    monkeypatch.setattr(measured_rows, "run", lambda name, *_: Run(name, 10.0, 1.0, None, tags))
    _no_single_runs(monkeypatch)
    monkeypatch.setattr(measurement, "_reordered", lambda *_: {"a": Tag("Ties", confidence, 0.5)})
    model = bundle.read("builtin")
    found = measurement.measure(("openvino-f32",), _CATALOGS, model, _options(runs=1), lambda line: None)
    assert len(found.problems) == problems
    assert "openvino-f32: in batches of 5 and another order" in found.remarks[0]


def test_an_unknown_row_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "plain,fast"])
    shown = capsys.readouterr().err
    assert "Received: fast" in shown and all(name in shown for name in (*ROWS, NIGHTS))


def test_the_ceiling_is_measured_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "none"))
    output = tmp_path / "bench.json"
    words = ["--rows", "4", "--runs", "2", "--only", CEILING, "--work", str(tmp_path), "--output", str(output)]
    assert command.main(words) == 0
    tree = json.loads(output.read_text(encoding="utf-8"))
    rates = [run["rows_per_second"] for run in tree["runs"]]
    assert len(rates) == 2 and tree["rows"][CEILING]["rows_per_second"] == pytest.approx(sum(rates) / 2)
    assert tree["machine"]["libraries"]["openvino"] and tree["machine"]["cores"] > 0
    assert tree["model_version"] == bundle.BUILTIN_VERSION
    printed = capsys.readouterr()
    assert ROWS[CEILING].title in printed.out
    assert "run 2 of 2: ceiling" in printed.err


def test_a_problem_is_a_line_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(measurement, "measure", lambda *_: Measured({}, problems=["Expected this. Received: that"]))
    words = ["--rows", "2", "--work", str(tmp_path), "--output", str(tmp_path / "bench.json")]
    assert command.main(words) == 1
    assert "error: Expected this. Received: that\n" in capsys.readouterr().err
