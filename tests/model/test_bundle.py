"""Reading and writing model bundles, pinned, built in, or by path alone."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_udf.errors import BundleError
from fashion_udf.model import bundle
from fashion_udf.model.bundle_files import Folder
from fashion_udf.table.memory_store import MemoryStore
from tests.fake_bundle import FILES, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle.write(tmp_path / "model", manifest(), FILES)
    return tmp_path / "model"


def version(folder: Path) -> str:
    return bundle.read(str(folder)).model_version


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    model_version = bundle.write(tmp_path / "model", manifest(), FILES)
    for reference in (f"{tmp_path}/model", f"{tmp_path}/model@{model_version}"):
        found = bundle.read(reference)
        assert (found.files, found.model_version) == (FILES, model_version)
        assert found.manifest.metrics == manifest().metrics


def test_the_same_content_has_the_same_version_anywhere(tmp_path: Path) -> None:
    reversed_files = dict(reversed(FILES.items()))
    versions = {
        bundle.write(tmp_path / "a", manifest(), FILES),
        bundle.write(tmp_path / "b", manifest(), reversed_files),
    }
    assert len(versions) == 1
    assert bundle.write(tmp_path / "c", manifest(name="other"), FILES) not in versions


def test_a_bundle_survives_the_pickling_of_a_broadcast(folder: Path) -> None:
    found = bundle.read(str(folder))
    assert pickle.loads(pickle.dumps(found)) == found


def test_an_existing_directory_is_never_written_over(folder: Path) -> None:
    with pytest.raises(BundleError, match="Expected a directory that does not exist yet. Received: .*model"):
        bundle.write(folder, manifest(), FILES)


def test_another_version_than_the_pinned_one_is_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match=f"to have model_version {'0' * 64}. Received: {version(folder)}"):
        bundle.read(f"{folder}@{'0' * 64}")


def test_a_path_may_hold_an_at_sign(folder: Path) -> None:
    moved = folder.rename(folder.with_name("model@home"))
    assert bundle.read(f"{moved}@{version(moved)}").files == FILES


def _elsewhere(source: Path) -> Callable[[str], Folder]:
    """A store that holds the bundle in `s3://bucket/models/v1`."""
    memory = MemoryStore()
    for path in (path for path in source.rglob("*") if path.is_file()):
        memory.write(f"v1/{path.relative_to(source)}", path.read_bytes())

    def opened(uri: str) -> Folder:
        assert uri == "s3://bucket/models"
        return memory("")

    return opened


def test_a_bundle_elsewhere_is_read_where_its_version_is_given(folder: Path) -> None:
    found = bundle.read(f"s3://bucket/models/v1@{version(folder)}", _elsewhere(folder))
    assert found == bundle.read(str(folder))


@pytest.mark.parametrize("reference", ["s3://bucket/models/v1", "hdfs://host/models/v1", "https://host/model"])
def test_a_bundle_elsewhere_without_its_version_is_refused(folder: Path, reference: str) -> None:
    with pytest.raises(BundleError, match=f"URI@<model_version>, .* Received: '{reference}'"):
        bundle.read(reference, _elsewhere(folder))
    with pytest.raises(BundleError, match="URI@<model_version>"):
        bundle.read(f"{reference}@{'0' * 64}")  # by nothing that could open it


@pytest.mark.parametrize("name", ["tokenizer.json", "manifest.json", "taxonomy.yaml"])
def test_a_bundle_elsewhere_with_a_changed_byte_is_refused(folder: Path, name: str) -> None:
    pinned = version(folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1] + b"!")
    with pytest.raises(BundleError, match=f"Expected ({name} to have sha256|bundle s3://.* to have model_version)"):
        bundle.read(f"s3://bucket/models/v1@{pinned}", _elsewhere(folder))


def test_a_bundle_elsewhere_with_another_file_or_none_is_refused(folder: Path) -> None:
    pinned = version(folder)
    with pytest.raises(BundleError, match="Received: not in the manifest: 'x.pkl'"):
        (folder / "x.pkl").touch()
        bundle.read(f"s3://bucket/models/v1@{pinned}", _elsewhere(folder))
    (folder / "x.pkl").unlink()
    with pytest.raises(BundleError, match="Expected bundle s3://bucket/models/v1 to be readable. Received: .*no such"):
        (folder / "manifest.json").unlink()
        bundle.read(f"s3://bucket/models/v1@{pinned}", _elsewhere(folder))


@pytest.mark.parametrize(
    ("reference", "problem"),
    [("nowhere", "No such file or directory"), ("no\0where", ".*embedded null"), ("", "No such")],
)
def test_a_missing_directory_is_named(reference: str, problem: str) -> None:
    with pytest.raises(
        BundleError, match=f"Expected {reference!r} to be a directory.* Received: {problem}".replace("\\", r"\\")
    ):
        bundle.read(reference)


# --- the built-in bundle -------------------------------------------------------------------------------------------


def test_the_builtin_bundle_is_the_pinned_one() -> None:
    assert bundle.read("builtin").model_version == bundle.BUILTIN_VERSION


def builtin(monkeypatch: pytest.MonkeyPatch, folder: Path, pinned: str) -> None:
    package = folder.parent / "package"
    (package / "bundles").mkdir(parents=True)
    shutil.copytree(folder, package / "bundles" / "builtin")
    monkeypatch.setattr(bundle.resources, "files", lambda _: package)
    monkeypatch.setattr(bundle, "BUILTIN_VERSION", pinned)


def test_an_altered_builtin_bundle_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    builtin(monkeypatch, folder, "1" * 64)
    with pytest.raises(BundleError, match="to have model_version 1111.* Received: "):
        bundle.read("builtin")


def test_an_installer_may_hard_link_the_builtin_bundle(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    builtin(monkeypatch, folder, version(folder))
    card = folder.parent / "package" / "bundles" / "builtin" / "MODEL_CARD.md"
    os.link(card, folder.parent / "cache")
    assert bundle.read("builtin").files == FILES


def test_a_manifest_of_two_megabytes_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b" " * 2_000_000)
    with pytest.raises(BundleError, match="Expected manifest.json to have at most 1000000 bytes. Received: more"):
        bundle.read(str(folder))


def test_a_bundle_without_a_file_its_engine_needs_is_refused(tmp_path: Path) -> None:
    files = {name: data for name, data in FILES.items() if name != "openvino/model.bin"}
    with pytest.raises(BundleError, match="though its engines need it: 'openvino/model.bin'"):
        bundle.write(tmp_path / "model", manifest(), files)
    only_tensorflow = {name: data for name, data in FILES.items() if "openvino" not in name}
    assert bundle.write(tmp_path / "other", manifest(engines={"tensorflow": ["f32"]}), only_tensorflow)


def test_a_bundle_that_offers_int8_without_its_graph_is_refused(tmp_path: Path) -> None:
    offering = manifest(engines={"openvino": ["f32", "int8"]})
    with pytest.raises(BundleError, match="need it: 'openvino/model_int8.bin', 'openvino/model_int8.xml'"):
        bundle.write(tmp_path / "model", offering, FILES)
    graph = {f"openvino/model_int8.{kind}": b"x" for kind in ("xml", "bin")}
    assert bundle.write(tmp_path / "other", offering, {**FILES, **graph})
