"""Gates through whole nights: what a table of few rows, of rows without a category, or of withdrawn decisions meets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import GateRefusedError
from fashion_udf.pipeline import refused, tagging
from fashion_udf.table import paths, snapshot
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _config(folder: Path, titles: dict[str, str | None], **changes: Any) -> JobConfig:
    (folder / "in").mkdir(exist_ok=True)
    columns = {"product_id": pa.array([*titles], pa.string()), "title": pa.array([*titles.values()], pa.string())}
    pq.write_table(pa.table(columns), folder / "in" / "part.parquet")
    tree = {
        "input": {"path": str(folder / "in"), "columns": {"image": None}},
        "output": {"path": str(folder / "out")},
        "bundle": str(small_bundle.directory()),
    }
    return config.validate(JobConfig, {**tree, **changes}, "a night")


def _overrides(folder: Path, names: list[str]) -> dict[str, Any]:
    (folder / "people").mkdir(exist_ok=True)
    table = {"product_id": pa.array(names, pa.string()), "category": pa.array(["Kites"] * len(names), pa.string())}
    pq.write_table(pa.table(table), folder / "people" / "part.parquet")
    return {"overrides": {"max_unknown": 1.0, "path": str(folder / "people")}}


def _kites(folder: Path) -> int:
    commit = snapshot.current(str(folder / "out"))
    assert commit is not None
    rows = ds.dataset(paths.data_dir(str(folder / "out"), commit), format="parquet").to_table(["category"])
    return rows["category"].to_pylist().count("Kites")


def test_a_first_night_of_rows_without_text_and_photo_is_refused_also_if_they_are_few(
    spark: SparkSession, tmp_path: Path
) -> None:
    titles = {f"p{number}": None for number in range(8)} | {f"q{number}": "Red shirt" for number in range(4)}
    with pytest.raises(GateRefusedError) as caught:
        tagging.tag(spark, _config(tmp_path, titles))
    assert (
        "[failures] Expected at most 25.0% of the rows to fail (gates.max_failures). "
        "Received: 66.7%: neither text nor photo 8" in str(caught.value)
    )
    assert (
        "[without_category] Expected at most 10.0% of the rows without a category (gates.max_without_category). "
        "Received: 66.7%: 8 of 12" in str(caught.value)
    )
    assert snapshot.current(str(tmp_path / "out")) is None
    (run,) = (tmp_path / "out" / "runs").iterdir()
    assert pq.read_table(run / "failures.parquet").num_rows == 8


def test_an_overrides_table_that_is_empty_or_short_withdraws_nothing_until_a_person_accepts(
    spark: SparkSession, tmp_path: Path
) -> None:
    titles: dict[str, str | None] = {f"p{number:02d}": "Red shirt" for number in range(20)}
    names = [*titles]
    given = {"gates": {"max_shift": 1, "max_flips": 1, "max_one_category": 1}}
    tagging.tag(spark, _config(tmp_path, titles, **_overrides(tmp_path, names[:10]), **given))
    for left, share in ((names[:5], "50.0%: 5 of 10"), ([], "100.0%: 10 of 10")):
        with pytest.raises(GateRefusedError) as caught:
            tagging.tag(spark, _config(tmp_path, titles, **_overrides(tmp_path, left), **given))
        assert (
            "[overrides] Expected at most 10.0% of people's decisions to be withdrawn (gates.max_withdrawn). "
            f"Received: {share}. Check that overrides.path holds all decisions" in str(caught.value)
        )
        assert _kites(tmp_path) == 10, "what people decided stays published"
    newest = max((tmp_path / "out" / "staging").iterdir())
    refused.publish(str(tmp_path / "out"), newest.name, ["overrides"])
    assert _kites(tmp_path) == 0
