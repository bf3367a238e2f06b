"""`fashion-udf compare`: what it prints, and the exit code where too much changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.commands import compare
from fashion_udf.errors import GateRefusedError
from fashion_udf.pipeline import shadow, shadow_report
from fashion_udf.pipeline.shadow_report import Cost, Flip, Report, Scoring
from fashion_udf.spark import session

FLIPS = [Flip(f"c{number}", "Hats", 1, ["a"]) for number in range(6)]


def _found(compared: int = 100, flips: list[Flip] = FLIPS) -> Report:
    means: dict[str, float | None] = {"before": 0.5, "after": 0.5}
    decisions = {name: dict.fromkeys(("auto", "review", "abstain"), 0) for name in ("auto", "review", "abstain")}
    scoring, cost = Scoring("v2", "openvino", "f32"), Cost(1000, 100, 1.0, 2)
    return Report(scoring, "v1", {"v1": 100}, 100, compared, {}, flips, decisions, [], [], means, means, cost)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What `shadow.compare` was asked; it finds `_found()`."""
    calls: list[Any] = []

    def found(*arguments: Any) -> Report:
        calls.append(arguments)
        return _found()

    monkeypatch.setattr(session, "start", lambda name, s3: name)
    monkeypatch.setattr(shadow, "compare", found)
    (tmp_path / "job.yaml").write_text("input: {path: in}\noutput: {path: out}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return calls


ARGUMENTS = ["--config", "job.yaml", "--bundle", "new"]


def test_a_report_is_printed_of_5000_rows_for_people_and_as_json(
    asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    compare.main([*ARGUMENTS, "--set", "engine.precision=int8"])
    assert capsys.readouterr().out == shadow_report.text(_found())
    (_, settings, bundle, rows) = asked[0]
    assert (settings.engine.precision, bundle, rows) == ("int8", "new", 5000)
    compare.main([*ARGUMENTS, "--sample", "7", "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(_found().as_dict()))
    assert asked[1][3] == 7


def test_too_many_flips_are_refused_after_the_report(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    compare.main([*ARGUMENTS, "--fail-above-flips", "0.06"])
    capsys.readouterr()
    with pytest.raises(GateRefusedError) as refused:
        compare.main([*ARGUMENTS, "--fail-above-flips", "0.05"])
    assert str(refused.value) == (
        "Expected at most 5.0% of the compared rows to change category (--fail-above-flips). Received: 6.0%, "
        "most of all 'c0' to 'Hats' 1, 'c1' to 'Hats' 1, 'c2' to 'Hats' 1, 'c3' to 'Hats' 1, 'c4' to 'Hats' 1"
    )
    assert refused.value.exit_code == 3
    assert "category changed" in capsys.readouterr().out


def test_a_bundle_of_which_nothing_could_be_compared_is_refused() -> None:
    with pytest.raises(GateRefusedError, match=r"Received: none of 100 could be compared"):
        compare.require_few_flips(_found(compared=0, flips=[]), 1.0)


@pytest.mark.parametrize(
    "words", [["--sample", "0"], ["--sample", "x"], ["--fail-above-flips", "5"], ["--fail-above-flips", "nan"]]
)
def test_an_argument_out_of_range_is_refused(
    words: list[str], asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        compare.main([*ARGUMENTS, *words])
    assert (stopped.value.code, asked) == (2, [])
    assert f"argument {words[0]}: " in capsys.readouterr().err
