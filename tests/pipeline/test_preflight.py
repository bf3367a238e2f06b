"""A configuration that cannot succeed is refused at the start, in one line that names the key."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import ConfigError, EnvironmentUnsupportedError, InputError
from fashion_udf.model import bundle
from fashion_udf.model.engines import openvino
from fashion_udf.pipeline import planning, preflight, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.table import paths, stores
from fashion_udf.table.memory_store import Fault, MemoryStore
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CSV = b"product_id,title,image\na,Red shirt,\n"
JSON = b'\xef\xbb\xbf{"product_id": "a", "title": "Red shirt", "image": null}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sources of each format, and one whose photos are named by URI."""
    for name in ("parquet", "csv", "json", "zipped", "by-uri", "photos", "no-uri"):
        (tmp_path / name).mkdir()
    rows = {"product_id": ["a", "b"], "title": ["Red shirt"] * 2}
    pq.write_table(pa.table({**rows, "image": [b"x", None]}), tmp_path / "parquet" / "part.parquet")
    pq.write_table(pa.table({**rows, "image_uri": [None, "x.jpg"]}), tmp_path / "by-uri" / "part.parquet")
    nothing = pa.array([None, "data:image/png;base64,aGk="], pa.string())  # no file is named
    pq.write_table(pa.table({**rows, "image_uri": nothing}), tmp_path / "no-uri" / "part.parquet")
    (tmp_path / "csv" / "part.csv").write_bytes(CSV)
    (tmp_path / "json" / "part.json").write_bytes(JSON)
    (tmp_path / "zipped" / "part.csv.gz").write_bytes(gzip.compress(CSV))
    return tmp_path


def _config(folder: Path, path: str, **changes: Any) -> JobConfig:
    tree: dict[str, Any] = {
        "input": {"path": f"{folder}/{path}"},
        "output": {"path": f"{folder}/out"},
        "bundle": str(small_bundle.directory()),
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        tree[section] = {**tree.get(section, {}), name: value} if name else value
    return config.validate(JobConfig, tree, "test")


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        (
            "by-uri",
            {},
            "Expected input.image_roots to name the directories of the photos, because the catalog has paths. ",
        ),
        (
            "by-uri",
            {"input__image_roots": ["{folder}/photos", "{folder}/foto"]},
            "Expected directories in input.image_roots. Received: '{folder}/foto', which do not exist",
        ),
        (
            "by-uri",
            {"input__image_roots": ["file:///no%20where"]},
            "Expected directories in input.image_roots. Received: '/no where', which do not exist",
        ),
        ("csv", {}, "Expected Parquet files. Received: {folder}/csv/part.csv ("),
        ("zipped", {"input__format": "json"}, "Expected a JSON object on every line. Received: {folder}/zipped/part."),
        ("json", {"input__format": "csv"}, "part.json: it starts like Parquet or JSON: set the format that the"),
        ("par*", {"input__format": "csv"}, "part.parquet: it starts like Parquet or JSON: set the format that the"),
        (
            "parquet",
            {"overrides": {"path": "{folder}/csv"}},
            "or set the format that the files have (input.format, overrides.format)",
        ),
        (
            "parquet",
            {"input__format": "table"},
            "Expected input.path to be the name of a table, as input.format is table. "
            "Received: the path '{folder}/parquet'",
        ),
        (
            "parquet",
            {"output__path": "file://{folder}/parquet/tags"},
            "Expected output.path outside of input.path: the next run would read the table as a part of it. ",
        ),
        ("parquet", {"output__path": "{folder}/csv/part.csv/out"}, "Expected a directory for output.path. Received: "),
        (
            "parquet",
            {"engine__name": "tensorflow"},
            "Expected the tensorflow package for engine.name: pip install 'fashion-udf[tensorflow]'. Received: none",
        ),
    ],
)
def test_what_cannot_succeed_is_refused_before_anything_is_scored_or_published(
    spark: SparkSession, folder: Path, path: str, changes: dict[str, Any], message: str
) -> None:
    def here(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: here(each) for name, each in value.items()}
        if isinstance(value, list):
            return [here(each) for each in value]
        return value.replace("{folder}", str(folder))

    with pytest.raises(InputError) as refused:
        tagging.tag(spark, _config(folder, path, **here(changes)))
    assert message.replace("{folder}", str(folder)) in str(refused.value)
    assert refused.value.exit_code == 2
    assert not [*folder.rglob("plan-0")] and not [*folder.rglob("log")]


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("by-uri", {"input__image_roots": ["file://{folder}/photos"]}),
        ("no-uri", {}),
        ("csv", {"input__format": "csv"}),
        ("zipped", {"input__format": "csv"}),
        ("json", {"input__format": "json"}),
    ],
)
def test_what_can_succeed_starts(spark: SparkSession, folder: Path, path: str, changes: dict[str, Any]) -> None:
    changes = {
        name: [each.replace("{folder}", str(folder)) for each in value] if isinstance(value, list) else value
        for name, value in changes.items()
    }
    assert planning.start(spark, _config(folder, path, **changes), Scope(), "r1").rows.columns


def test_a_model_that_never_saw_a_photo_is_refused_for_a_catalog_with_photos(spark: SparkSession, folder: Path) -> None:
    known = bundle.read(str(small_bundle.directory()))
    assert known.manifest.knows_photos
    manifest = known.manifest.model_copy(update={"metrics": {"f32": {"forms": {"text": {}}}}})
    version = bundle.write(folder / "titles", manifest, known.files)
    changes = {"bundle": f"{folder}/titles", "engine": {"precision": "f32"}}
    expected = (
        f"Expected a bundle that was trained with photos, as the catalog has 'image'. Received: the bundle {version}, "
        "whose training set has none. Set input.columns.image to null to tag by the text alone"
    )
    with pytest.raises(ConfigError, match=re.escape(expected)):
        planning.start(spark, _config(folder, "parquet", **changes), Scope(), "run")
    text_alone = _config(folder, "parquet", input__columns={"image": None}, **changes)
    assert planning.start(spark, text_alone, Scope(), "run").rows.count() == 2


def test_a_root_is_given_as_a_path_or_as_a_file_uri(tmp_path: Path) -> None:
    roots = ["/a b", "photos", "file:///a%20b", "file:/c", "FILE://localhost/d"]
    loaded = _config(tmp_path, "in", input__image_roots=roots)
    assert loaded.input.image_roots == ("/a b", "photos", "/a b", "/c", "/d")
    for root in ("", " ", "s3://bucket/photos", "https://host/photos", "file://host/photos", "file:"):
        with pytest.raises(
            ConfigError, match="input.image_roots: Value error, expected the path or file: URI of a loc"
        ):
            _config(tmp_path, "in", input__image_roots=[root])


def test_an_output_that_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(ConfigError, match=f"^Expected a writable directory for output.path. .*{tmp_path}$"):
        preflight.require_output(f"{tmp_path}/a/b")


def test_bf16_is_refused_where_the_cpu_of_a_local_run_lacks_it(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "has_bf16", lambda: False)
    preflight.require_engine(spark, "openvino", "int8")
    with pytest.raises(ConfigError, match="^Expected a CPU with bf16 for engine.precision bf16. "):
        preflight.require_engine(spark, "openvino", "bf16")


@pytest.mark.parametrize("seen", [True, False])
def test_on_a_cluster_an_executor_is_asked_for_roots_and_packages_are_its_own(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    monkeypatch.setattr(spark.sparkContext, "master", "yarn")
    preflight.require_engine(spark, "tensorflow", "f32")
    is_directory = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: False)  # here; the workers have another one
    root = str(tmp_path if seen else tmp_path / "gone")
    with monkeypatch.context() as patch:
        patch.setattr(preflight, "_on_an_executor", lambda _, roots: [each for each in roots if is_directory(each)])
        if seen:
            preflight._require_directories(spark, (root,))
        else:
            with pytest.raises(ConfigError, match="Expected directories in input.image_roots. Received: .*/gone'"):
                preflight._require_directories(spark, (root,))


def test_an_executor_says_which_directories_it_sees(spark: SparkSession, tmp_path: Path) -> None:
    assert preflight._on_an_executor(spark, [str(tmp_path), "/nowhere"]) == [str(tmp_path)]


def test_a_missing_package_is_an_error_of_the_environment(spark: SparkSession) -> None:
    with pytest.raises(EnvironmentUnsupportedError):
        preflight.require_engine(spark, "no_such_engine", "f32")


class _LastWriterWins(MemoryStore):
    """A store that takes no notice of conditions."""

    def create(self, key: str, data: bytes) -> bool:
        self.write(key, data)
        return True


@pytest.mark.parametrize("kind", [_LastWriterWins, MemoryStore])
def test_a_store_that_ignores_conditional_writes_is_refused_before_the_first_commit(
    monkeypatch: pytest.MonkeyPatch, kind: type[MemoryStore]
) -> None:
    memory = kind()
    monkeypatch.setitem(stores.STORES, "s3", memory)
    directory = paths.staging_dir("s3://bucket/out", "r1")
    if kind is MemoryStore:
        preflight.require_one_winner(directory)
        return
    with pytest.raises(ConfigError, match=r"Expected a store .*If-None-Match.* Received: s3://bucket/out, which over"):
        preflight.require_one_winner(directory)
    memory.write("tags/log/00000001.json", b"{}")
    memory.operations.clear()
    preflight.require_one_winner(directory)
    assert memory.operations == ["list tags/log"], "one that has a commit was looked at before it"


def test_an_output_that_cannot_be_reached_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stores.STORES, "s3", MemoryStore({1: Fault("before", PermissionError(13, "AccessDenied"))}))
    with pytest.raises(ConfigError, match=r"Expected an output\.path that can be reached\. Received: s3://b/x \("):
        preflight.require_output("s3://b/x")
    with pytest.raises(ConfigError, match="Expected output.path as scheme://place/path"):
        preflight.require_output("s3:bucket")


@pytest.mark.parametrize("catalog", ["s3://bucket/shop", "s3a://bucket/shop/", "s3a://bucket"])
def test_an_output_elsewhere_lies_in_no_catalog(spark: SparkSession, folder: Path, catalog: str) -> None:
    settings = _config(folder, "parquet", input__path=catalog, output__path="s3a://bucket/shop/tags")
    with pytest.raises(ConfigError, match=r"Expected output\.path outside of input\.path: .* in s3"):
        preflight.require_inputs(spark, settings)
