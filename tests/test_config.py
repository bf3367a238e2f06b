"""Configuration: every mistake is named in one line, and nothing unknown is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import ConfigError
from tests.submit import REPOSITORY

MINIMAL = "input: {path: in}\noutput: {path: out}\n"


def _write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_minimal_file_gets_the_documented_defaults(tmp_path: Path) -> None:
    loaded = config.load(JobConfig, _write(tmp_path, MINIMAL))
    assert (loaded.bundle, loaded.engine.name, loaded.engine.precision, loaded.input.max_rejected) == (
        "builtin",
        "openvino",
        "auto",
        0,
    )


def test_the_shipped_configs_are_valid() -> None:
    folder = REPOSITORY / "conf"
    for name in ("nightly.yaml", "demo.yaml"):
        config.load(JobConfig, folder / name)


def test_overrides_are_yaml_and_reach_any_depth(tmp_path: Path) -> None:
    loaded = config.load(
        JobConfig,
        _write(tmp_path, MINIMAL),
        config.parse_overrides(
            [
                "input.max_rejected=5",
                "input.columns.title=null",
                "input.image_roots=[/a, /b c]",
                "engine.name=tensorflow",
            ]
        ),
    )
    assert loaded.input.max_rejected == 5
    assert loaded.input.columns.title is None
    assert loaded.input.image_roots == ("/a", "/b c")
    assert loaded.engine.name == "tensorflow"


def test_a_loaded_config_cannot_be_changed(tmp_path: Path) -> None:
    loaded = config.load(JobConfig, _write(tmp_path, MINIMAL))
    with pytest.raises(ValidationError, match="frozen"):
        loaded.bundle = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (MINIMAL + "bundel: x\n", [], r"Expected a valid JobConfig in .*job.yaml\. Received: bundel: unknown key"),
        ("output: {path: out}\n", [], "input: required, but not given"),
        ("input: {path: in, format: xml}\noutput: {path: o}\n", [], "input.format: Input should be 'parquet', 'csv'"),
        (MINIMAL, ["input.max_rejected=-1"], "input.max_rejected: Input should be greater than or equal to 0"),
        (MINIMAL, ["engine.batchsize=3"], "engine.batchsize: unknown key"),
        (MINIMAL, ["engine.precision=fp32"], "engine.precision: Input should be 'auto', 'f32', 'bf16' or 'int8'"),
        (
            MINIMAL,
            ["output.path=a/{b}"],
            "output.path: Value error, expected no '{': Spark would read the path as a pattern",
        ),
        (MINIMAL, ["engine"], "Expected --set key=value. Received: 'engine'"),
        (MINIMAL, ["bundle=[1"], r"Expected a YAML value in --set bundle=\.\.\. Received: '\[1'"),
        (MINIMAL, ["bundle.name=x"], None),
        ("- a\n", [], "Expected a mapping at the top of .* Received: list"),
        ("input: [\n", [], "Expected valid YAML in"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, text: str, overrides: list[str], message: str | None) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(JobConfig, _write(tmp_path, text), config.parse_overrides(overrides))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Expected a readable YAML file. Received: .*nowhere.yaml"):
        config.load(JobConfig, tmp_path / "nowhere.yaml")


def test_a_section_cannot_replace_a_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Expected 'path' in input.path.more to be a section. Received: 'in'"):
        config.load(JobConfig, _write(tmp_path, MINIMAL), config.parse_overrides(["input.path.more=1"]))
