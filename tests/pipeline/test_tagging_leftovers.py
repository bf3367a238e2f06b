"""What a run leaves in a session that lives on, such as a notebook's: nothing, however it ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.pipeline import chunks, tagging
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _state(spark: SparkSession) -> dict[str, Any]:
    settings = {key: spark.conf.get(key) for key in sorted(spark.conf.getAll)}
    return {"settings": settings, "cached": spark.sparkContext._jsc.getPersistentRDDs().size()}


@pytest.mark.parametrize("ends", ["published", "planned", "failed"])
def test_settings_are_as_before_and_nothing_stays_cached_or_broadcast(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    (tmp_path / "in.csv").write_text("product_id,title\n1,Red shirt\n2,Hat\n", encoding="utf-8")
    tree = {
        "input": {"path": str(tmp_path / "in.csv"), "format": "csv", "columns": {"image": None}},
        "output": {"path": str(tmp_path / "out")},
        "bundle": str(small_bundle.directory()),
    }
    settings = config.validate(JobConfig, tree, "test")
    jobs: list[chunks.Job] = []
    score = chunks.score

    def scored(job: chunks.Job, *rest: Any) -> int:
        jobs.append(job)
        if ends == "failed":
            raise ValueError("in the middle")
        return score(job, *rest)

    monkeypatch.setattr(chunks, "score", scored)
    before = _state(spark)
    if ends == "planned":
        tagging.preview(spark, settings)
    elif ends == "failed":
        with pytest.raises(ValueError, match="in the middle"):
            tagging.tag(spark, settings)
    else:
        tagging.tag(spark, settings)
    assert _state(spark) == before
    for job in jobs:
        assert not Path(job.bundle._path).exists(), "it was destroyed with the driver's copy"
