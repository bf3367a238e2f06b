"""The automatic precision: the fastest one that the model offers and the driver's CPU has instructions for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fashion_udf.errors import ConfigError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import precision, registry
from tests import fake_bundle


def offering(*precisions: str) -> Bundle:
    facts = fake_bundle.manifest(engines={"openvino": list(precisions), "tensorflow": ["f32"]})
    return Bundle(facts, fake_bundle.FILES, "0" * 64)


@pytest.mark.parametrize(
    ("flags", "offered", "chosen", "reason"),
    [
        ("avx2 avx512_vnni avx512_bf16", ["f32", "bf16", "int8"], "int8", "the CPU has avx512_vnni"),
        ("avx_vnni", ["f32", "int8"], "int8", "the CPU has avx_vnni"),
        ("amx_int8 amx_bf16", ["f32", "bf16"], "bf16", "the CPU has amx_bf16"),
        ("avx512_vnni", ["f32", "bf16"], "f32", "the model does not offer int8, the CPU has no bf16"),
        ("avx2", ["f32", "bf16", "int8"], "f32", "the CPU has no int8, the CPU has no bf16"),
        ("avx512_vnni avx512_bf16", ["f32"], "f32", "the model does not offer int8, the model does not offer bf16"),
    ],
)
def test_auto_is_the_fastest_precision_of_model_and_cpu_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    flags: str,
    offered: list[str],
    chosen: str,
    reason: str,
) -> None:
    monkeypatch.setattr(precision, "cpu_flags", lambda: frozenset(flags.split()))
    with caplog.at_level(logging.INFO, logger="fashion_udf"):
        assert registry.resolve_precision("openvino", offering(*offered), "auto") == chosen
    assert f"engine.precision auto is {chosen}: " in caplog.text and reason in caplog.text


def test_the_reference_engine_stays_at_f32_on_any_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_flags", lambda: frozenset({"avx512_vnni", "avx512_bf16"}))
    assert registry.resolve_precision("tensorflow", offering("f32", "bf16", "int8"), "auto") == "f32"


def test_a_precision_that_is_named_is_taken_or_refused_and_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_flags", lambda: frozenset({"avx512_vnni"}))
    assert registry.resolve_precision("openvino", offering("f32", "int8"), "f32") == "f32"
    with pytest.raises(ConfigError, match=r"offers for openvino: \['f32'\]. Received: 'int8'"):
        registry.resolve_precision("openvino", offering("f32"), "int8")
    with pytest.raises(ConfigError, match=r"offers for openvino: \['int8'\]. Received: 'f32'"):
        registry.resolve_precision("openvino", offering("int8"), "f32")


@pytest.mark.parametrize(
    ("content", "flags"),
    [
        (
            "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\nbugs\t: none\n\nflags\t\t: fpu\n",
            {"fpu", "avx2", "avx512_vnni"},
        ),
        ("Features\t: fp asimd\n", set()),
        (None, set()),
    ],
    ids=["x86", "arm", "not Linux"],
)
def test_the_cpu_s_instructions_are_those_the_system_lists(
    tmp_path: Path, content: str | None, flags: set[str]
) -> None:
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    assert precision.cpu_flags(tmp_path / "cpuinfo") == flags
