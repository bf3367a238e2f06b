"""jobs/backfill.py as a person runs it: the named products alone, on top of the published table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf.commands import backfill
from fashion_udf.errors import InputError
from fashion_udf.pipeline import selection
from fashion_udf.spark import session
from fashion_udf.table import paths, snapshot
from tests.submit import REPOSITORY, error_line, submit

CONFIG = str(REPOSITORY / "conf" / "nightly.yaml")


def _catalog(folder: Path, titles: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({"product_id": list(titles), "title": list(titles.values()), "image": pa.nulls(len(titles))})
    pq.write_table(table, folder / "part.parquet")
    return folder


def _paths(source: Path, output: Path) -> list[str]:
    return ["--config", CONFIG, "--set", f"input.path={source}", "--set", f"output.path={output}"]


def _published(output: Path) -> dict[str, dict[str, Any]]:
    commit = snapshot.current(str(output))
    assert commit is not None
    table = ds.dataset(paths.data_dir(str(output), commit), format="parquet").to_table()
    return {row["product_id"]: row for row in table.to_pylist()}


def test_named_products_are_scored_and_all_others_stay_as_they_were(tmp_path: Path) -> None:
    source, output = _catalog(tmp_path / "in", {"a": "Red shirt", "b": "Red shirt", "c": "Blue hat"}), tmp_path / "out"
    assert submit("tag_catalog", *_paths(source, output)).returncode == 0
    before = _published(output)
    _catalog(source, {"a": "Green bag", "b": "Green bag", "new": "Watch"})
    result = submit("backfill", *_paths(source, output), "--ids", "b,new")
    assert result.returncode == 0, result.stdout
    after = _published(output)
    assert sorted(after) == ["a", "b", "c", "new"], "what left the catalog is the nightly run's to drop"
    assert {name: after[name] == before[name] for name in before} == {"a": True, "b": False, "c": True}
    assert (after["b"]["reason"], after["new"]["reason"]) == ("text", "new")


def test_ids_that_do_not_exist_are_ignored_on_demand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def select(*arguments: Any) -> None:
        asked.append(arguments[-1])
        raise InputError("enough")

    monkeypatch.setattr(session, "start", lambda name, s3: name)
    monkeypatch.setattr(selection, "select", select)
    arguments = ["--config", CONFIG, "--ids", "a"]
    for words in ([], ["--ignore-missing"]):
        with pytest.raises(InputError, match="enough"):
            backfill.main([*arguments, *words])
    assert asked == [False, True]


def test_a_backfill_before_the_first_night_says_what_to_do(tmp_path: Path) -> None:
    source = _catalog(tmp_path / "in", {"a": "Red shirt"})
    result = submit("backfill", *_paths(source, tmp_path / "out"))
    assert result.returncode == 2
    assert error_line(result).endswith("Run tag_catalog.py first")
