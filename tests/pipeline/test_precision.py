"""The automatic precision of a night: the table's own, so that a night on another CPU scores nothing again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.model.engines import precision as engine_precision
from fashion_udf.pipeline import chunks, fingerprint, precision, tagging
from fashion_udf.pipeline.fingerprint import Versions
from fashion_udf.table import paths, snapshot
from tests import small_bundle
from tests.tables import publish_staged
from tests.tag_rows import tags

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Cpu = Callable[[str], None]


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Cpu:
    """Sets the instruction sets of the driver's CPU."""
    return lambda flags: monkeypatch.setattr(engine_precision, "cpu_flags", lambda: frozenset(flags.split()))


def _config(folder: Path) -> JobConfig:
    names = [f"{number:02d}" for number in range(6)]
    (folder / "in").mkdir(parents=True, exist_ok=True)
    table = pa.table({"product_id": names, "title": [f"Red shirt {name}" for name in names]})
    pq.write_table(table, folder / "in" / "part.parquet")
    tree = {
        "input": {"path": str(folder / "in"), "columns": {"image": None}},
        "output": {"path": str(folder / "out")},
        "bundle": str(small_bundle.directory("int8")),
    }
    return config.validate(JobConfig, tree, "test")


def _precisions(output: Path) -> set[str]:
    """The precisions that the published rows were scored with, as their fingerprints say."""
    commit = snapshot.current(str(output))
    assert commit is not None
    rows = ds.dataset(paths.data_dir(str(output), commit), format="parquet").to_table(["fingerprint"])
    version, limits = small_bundle.read("int8").model_version, JobConfig.model_fields["limits"].default
    photo_limits = (limits.max_image_bytes, limits.max_image_pixels)
    known = {
        fingerprint.versions_parts(Versions(version, "openvino", each, 3, *photo_limits))[0]: each
        for each in ("f32", "int8")
    }
    return {known[text.rpartition("-")[2]] for text in rows["fingerprint"].to_pylist()}


def test_a_night_on_another_cpu_scores_nothing_again(
    spark: SparkSession, tmp_path: Path, cpu: Cpu, caplog: pytest.LogCaptureFixture
) -> None:
    cpu("avx512_vnni")
    assert tagging.tag(spark, _config(tmp_path)).published
    assert _precisions(tmp_path / "out") == {"int8"}, "the fastest one is the default"
    cpu("avx2")
    with caplog.at_level(logging.INFO, logger="fashion_udf"):
        assert not tagging.tag(spark, _config(tmp_path)).published
    assert "engine.precision auto is int8: the published table has it" in caplog.text


def test_a_run_on_another_cpu_goes_on_with_what_a_killed_one_staged(
    spark: SparkSession, tmp_path: Path, cpu: Cpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu("avx512_vnni")

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tagging, "_assemble", dies)
        tagging.tag(spark, _config(tmp_path))
    cpu("avx2")
    begun: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "_score_chunk", lambda *arguments: begun.append(arguments))
        assert tagging.tag(spark, _config(tmp_path)).counts.staged == 6
    assert begun == [] and _precisions(tmp_path / "out") == {"int8"}


VERSIONS = Versions(small_bundle.read("int8").model_version, "openvino", "auto", 3, 1, 1)


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        (["int8", "f32", "f32"], "f32"),
        (["int8", "int8", "f32"], "int8"),
        (["of another model"] * 3, "f32"),
    ],
    ids=["most are f32", "most are int8", "another bundle"],
)
def test_most_rows_of_this_model_decide_and_without_one_the_cpu(
    spark: SparkSession, tmp_path: Path, cpu: Cpu, rows: list[str], chosen: str
) -> None:
    cpu("avx2")
    parts = [
        fingerprint.versions_parts(Versions(VERSIONS.model_version, "openvino", row, 3, 1, 1))[number % 2]
        for number, row in enumerate(rows)
    ]
    staged = tmp_path / "staging" / "r1"
    tags(
        spark, *({"product_id": str(at), "fingerprint": f"t-i-{part}".rjust(98)} for at, part in enumerate(parts))
    ).write.parquet(str(staged))
    publish_staged(tmp_path, staged, "r1", "v1", expected_rows=3, parent=None)
    assert precision.resolve(spark, str(tmp_path), small_bundle.read("int8"), VERSIONS) == chosen
