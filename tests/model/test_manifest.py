"""The manifest has one exact form, and every other is refused with its key, where no pin protects it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.errors import BundleError
from fashion_udf.model import bundle
from fashion_udf.model.manifest import Agreement, Parity, canonical, parse
from tests.fake_bundle import FILES, calibration, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle.write(tmp_path / "model", manifest(), FILES)
    return tmp_path / "model"


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/hostname",
        "openvino/../../x.xml",
        "openvino/a/b.xml",
        "openvino/Model.xml",
        "openvino/model.xml\n",
        "openvino\\model.xml",
        "TOKENIZER.JSON",
        "config.json",
        "a\0b",
        "",
    ],
)
def test_a_manifest_with_a_path_trick_is_refused(folder: Path, name: str) -> None:
    tree = json.loads((folder / "manifest.json").read_bytes())
    tree["files"][name] = {"sha256": "0" * 64, "size": 1}
    (folder / "manifest.json").write_text(json.dumps(tree))
    with pytest.raises(BundleError, match=r"Expected a valid manifest.json in .* Received: files\."):
        bundle.read(str(folder))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"name": "test"', '"name": "a", "name": "test"', "a repeated key"),
        ('"name": "test"', '"name": "test", "config": {}', "config: Extra inputs are not permitted"),
        ('"name": "test"', '"name": 7', "name: Input should be a valid string"),
        (
            '"temperature": 1.5',
            '"temperature": NaN',
            "bf16.image.category.temperature: Input should be a finite number",
        ),
        ('"temperature": 1.5', '"temperature": 0.0', "bf16.image.category.temperature: Input should be greater than 0"),
        ('"novelty": 0.25', '"novelty": 1.25', "novelty: Input should be less than or equal to 1"),
        ('"Navy Blue"', '"Red"', "attributes.0.values: Value error, values repeat"),
        ('"name": "colour"', '"name": "tint"', "calibration.bf16.both.attributes must have the keys ['tint']"),
        ('"accuracy": 0.9', '"accuracy": NaN', "Out of range float values are not JSON compliant"),
        ('"size": 64', '"size": 100000', "image.size: Input should be less than or equal to 1024"),
        ('"size": 1000', '"size": 999999999', "openvino/model.bin.size: Input should be less than"),
        ('"Shirts"', '"Crème & Co."', "labels repeat"),
        (
            '"metrics": {',
            '"metrics": {"x": ' + "[" * 5000 + "]" * 5000 + ", ",
            "Invalid JSON: recursion limit exceeded",
        ),
        ("{", "", "Invalid JSON"),
    ],
)
def test_a_manifest_with_a_wrong_value_is_refused_with_its_key(folder: Path, old: str, new: str, problem: str) -> None:
    content = (folder / "manifest.json").read_text()
    assert old in content
    (folder / "manifest.json").write_text(content.replace(old, new, 1))
    with pytest.raises(BundleError, match="manifest.json in .* Received: ") as refusal:
        bundle.read(str(folder))
    assert problem in str(refusal.value)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_manifest_parser_fail_otherwise(content: bytes) -> None:
    with pytest.raises(BundleError, match="manifest.json in x"):
        parse(content, "x")


@given(st.data())
def test_an_unpinned_manifest_accepts_no_other_spelling(data: st.DataObject) -> None:
    content = canonical(manifest())
    at = data.draw(st.integers(0, len(content) - 1))
    space = data.draw(st.sampled_from([b" ", b"\n", b"\t"]))
    changed = content[:at] + space + content[at:]
    try:
        assert canonical(parse(changed, "x")) == changed  # inside a string: another name, and another version
    except BundleError:
        pass


@given(st.text(min_size=1, max_size=20), st.floats(0.01, 100), st.dictionaries(st.text(), st.floats(-1e9, 1e9)))
def test_every_manifest_reads_back_as_it_was_written(name: str, temperature: float, metrics: dict[str, float]) -> None:
    if any("\ud800" <= character <= "\udfff" for character in name + "".join(metrics)):
        return
    made = manifest(name=name, calibration={"f32": calibration(temperature)}, engines={}, metrics=metrics)
    assert parse(canonical(made), "x") == made


# --- what only some bundles have ------------------------------------------------------------------------------------


def test_a_bundle_of_the_format_before_is_refused_with_what_to_do(folder: Path) -> None:
    tree = json.loads((folder / "manifest.json").read_bytes())
    old = {**tree, "format": 1, "temperature": {}, "thresholds": {}}
    del old["calibration"], old["attributes"]
    (folder / "manifest.json").write_text(json.dumps(old))
    with pytest.raises(BundleError) as refusal:
        bundle.read(str(folder))
    assert str(refusal.value) == (
        f"Expected a bundle of format 2 in {folder}. Received: format 1. "
        "Train the model and export it again with this release"
    )


def test_every_precision_that_is_offered_has_its_calibration() -> None:
    with pytest.raises(ValueError, match=r"that an engine offers, and lacks \['int8'\]"):
        manifest(engines={"openvino": ["f32", "int8"]}, calibration={"f32": calibration()})
    with pytest.raises(ValueError, match=r"that an engine offers, and lacks \['f32'\]"):
        manifest(engines={}, calibration={"int8": calibration()})
    without_text = {name: facts for name, facts in calibration().items() if name != "text"}
    with pytest.raises(ValueError, match=r"calibration.f32 must have the keys \['both', 'image', 'text'\]"):
        manifest(calibration={"f32": without_text})


def test_a_model_may_have_no_attributes_and_none_has_two_of_one_name() -> None:
    plain = {name: {**facts, "attributes": {}} for name, facts in calibration().items()}  # type: ignore[dict-item]
    assert manifest(attributes=[], calibration={"f32": plain}).attribute_values == 0
    assert manifest().attribute_values == 2
    with pytest.raises(ValueError, match="names of attributes repeat"):
        manifest(attributes=[{"name": "colour", "values": ["Red", "Blue"]}] * 2)


FACTS = {"rows": 16, "same_top1": 16, "largest_difference": 1e-5}


def test_agreement_and_what_was_not_measured_read_back() -> None:
    both = Agreement(rows=1483, same_top1=1480, same_decision=1470, correct=1440, f32_correct=1441)
    facts = Parity(**FACTS, labelled={"both": both})
    made = manifest(parity={"openvino int8": facts}, not_measured={"openvino bf16": "the CPU has none"})
    found = parse(canonical(made), "x")
    assert found == made
    assert found.parity["openvino int8"].labelled["both"].same_top1 == 1480
    assert found.not_measured == {"openvino bf16": "the CPU has none"}


@pytest.mark.parametrize(
    ("engines", "graphs"),
    [
        ({"openvino": ["f32"]}, ["model"]),
        ({"openvino": ["f32", "bf16"]}, ["model"]),
        ({"openvino": ["int8"], "tensorflow": ["f32"]}, ["model_int8"]),
        ({"openvino": ["f32", "int8"]}, ["model", "model_int8"]),
        ({"tensorflow": ["f32"]}, []),
    ],
)
def test_each_precision_needs_its_own_graph(engines: dict[str, list[str]], graphs: list[str]) -> None:
    needed = {name for name in manifest(engines=engines).required_files() if name.startswith("openvino/")}
    assert needed == {f"openvino/{graph}.{kind}" for graph in graphs for kind in ("xml", "bin")}
