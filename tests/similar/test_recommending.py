"""Runs of `recommend` on small tables: what is published, what is not, and nights on top of older lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import CommitConflictError, ConfigError, InputError
from fashion_udf.similar import night, recommending
from fashion_udf.similar.outcome import Differences
from fashion_udf.table import paths, retention, snapshot
from tests.similar import catalogs, published


def view(output: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of the view that the table's `current.sql` defines."""
    with duckdb.connect() as connection:
        connection.execute((output / "similar" / "current.sql").read_text())
        return connection.execute(query).fetchall()


def test_every_product_gets_the_best_of_its_category_and_what_cannot_be_compared_is_counted(
    spark: Any, tmp_path: Path
) -> None:
    rows = catalogs.products(60)
    alone = {**rows[0], "product_id": "alone", "category": "Umbrellas"}
    left_out = [
        {**rows[1], "product_id": "unscored", "embedding": None, "category": None},
        {**rows[2], "product_id": "kept", "model_version": "m0"},
    ]
    tags = catalogs.publish(tmp_path, [*rows, alone, *left_out])
    done = recommending.recommend(spark, catalogs.settings(tmp_path))
    found = catalogs.lists(tmp_path)
    assert catalogs.ids(found) == {**catalogs.expected(rows), "alone": []}
    counts = done.counts.as_dict()
    assert (counts["tags"], counts["compared"], counts["searched"]) == (63, 61, 61)
    assert (counts["left_out.no_embedding"], counts["left_out.other_model"], counts["lists.empty"]) == (1, 1, 1)
    commit = snapshot.current(str(tmp_path), paths.SIMILAR)
    assert commit and commit.made_from and commit.made_from.tags == tags.number and commit.model_version == "m1"
    metrics = json.loads((tmp_path / "runs" / done.run_id / "metrics.json").read_text())
    assert metrics["recall"] == 1.0 and {pool["method"] for pool in metrics["pools"]} == {"exact"}
    assert json.loads((tmp_path / "runs" / done.run_id / "outcome.json").read_text())["exit_code"] == 0
    pairs = view(tmp_path, "SELECT similar_id FROM similar_products WHERE product_id = 'p0000' ORDER BY position")
    assert [pair[0] for pair in pairs] == catalogs.ids(found)["p0000"]
    assert view(tmp_path, "SELECT DISTINCT tags_behind FROM similar_products") == [(0,)]
    # The same again publishes nothing; tags of another model hide the lists at once.
    assert not recommending.recommend(spark, catalogs.settings(tmp_path)).published
    catalogs.publish(tmp_path, rows)
    assert view(tmp_path, "SELECT DISTINCT tags_behind FROM similar_products") == [(1,)]
    catalogs.publish(tmp_path, [{**row, "model_version": "m2"} for row in rows], "m2")
    assert view(tmp_path, "SELECT count(*) FROM similar_products") == [(0,)]


def test_nights_end_with_the_lists_of_a_full_run(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = catalogs.products(80)
    catalogs.publish(tmp_path, rows)
    settings = catalogs.settings(tmp_path)
    assert recommending.recommend(spark, settings).counts.since is None
    draws = np.random.default_rng(9)
    changed = [{**row, "embedding": rows[7]["embedding"]} if row["product_id"] == "p0003" else row for row in rows]
    following = [row for row in changed if row["product_id"] not in ("p0010", "p0011")]
    following += [{**rows[5], "product_id": f"new-{number}", "image_sha256": f"{draws}"[:9]} for number in range(2)]
    catalogs.publish(tmp_path, following)
    counts = recommending.recommend(spark, settings).counts
    assert counts.since == Differences(new=2, changed=1, removed=2)
    assert 3 <= counts.searched < 20
    assert catalogs.ids(catalogs.lists(tmp_path)) == catalogs.expected(following)
    # Where much changed, all lists are searched.
    monkeypatch.setattr(night, "FEW", 0)
    monkeypatch.setattr(night, "MOST_SHARE", 0.0)
    catalogs.publish(tmp_path, following[1:])
    counts = recommending.recommend(spark, settings).counts
    assert counts.since is None and counts.searched == len(following) - 1
    assert catalogs.ids(catalogs.lists(tmp_path)) == catalogs.expected(following[1:])


def test_groups_larger_than_a_task_are_searched_in_lists_of_near_products(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = catalogs.products(120, categories=("Shirts",))
    catalogs.publish(tmp_path, rows)
    monkeypatch.setattr("fashion_udf.similar.inverted.LIST", 12)
    # All queries are in the sample, so a recall of 1 there is a recall of 1.
    done = recommending.recommend(spark, catalogs.settings(tmp_path, exact_limit=30, recall=1.0))
    assert catalogs.ids(catalogs.lists(tmp_path)) == catalogs.expected(rows)
    (pool,) = json.loads((tmp_path / "runs" / done.run_id / "metrics.json").read_text())["pools"]
    assert pool["method"] == f"{pool['probes']} of {pool['parts']} lists" and 1 < pool["probes"] <= pool["parts"]
    assert pool["recall"] == 1.0
    # A night searches the few lists that need it exactly, in parts.
    catalogs.publish(tmp_path, rows[1:])
    recommending.recommend(spark, catalogs.settings(tmp_path, exact_limit=30, recall=1.0))
    assert catalogs.ids(catalogs.lists(tmp_path)) == catalogs.expected(rows[1:])


def test_complements_are_of_other_categories_the_same_gender_and_what_the_filters_let_pass(
    spark: Any, tmp_path: Path
) -> None:
    rows = catalogs.products(90)
    catalogs.publish(tmp_path, rows)
    columns = pa.table(
        {
            "Product_ID": [row["product_id"] for row in rows],
            "in_stock": [number % 3 > 0 for number in range(90)],
            "price": [str(10 + number % 20) for number in range(90)],
        }
    )
    pq.write_table(columns, tmp_path / "columns.parquet")
    filters = [{"column": "in_stock", "equals": True}, {"column": "price", "ratio": [0.8, 1.25]}]
    settings = catalogs.settings(
        tmp_path,
        scope="complement",
        columns={"path": str(tmp_path / "columns.parquet")},
        filters=filters,
        at_most={"category": 2},
    )
    preview = recommending.preview(spark, settings)
    assert preview.counts.compared == 90 and len(preview.pools) > 2
    recommending.recommend(spark, settings)
    found, by_id = catalogs.ids(catalogs.lists(tmp_path)), {row["product_id"]: row for row in rows}
    assert sum(map(len, found.values())) > 90
    for name, entries in found.items():
        own, number = by_id[name], int(name[1:])
        kinds = [by_id[other]["category"] for other in entries]
        assert own["category"] not in kinds and all(kinds.count(kind) <= 2 for kind in kinds)
        for other in entries:
            assert by_id[other]["attributes"][0]["value"] == own["attributes"][0]["value"]
            assert int(other[1:]) % 3 > 0
            assert 0.8 <= (10 + int(other[1:]) % 20) / (10 + number % 20) <= 1.25


def test_a_column_that_is_nowhere_is_named_with_those_that_are_there(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected a published tags table in --output. Received: .*has no commit"):
        recommending.recommend(spark, catalogs.settings(tmp_path))
    catalogs.publish(tmp_path, catalogs.products(3))
    settings = catalogs.settings(tmp_path, filters=[{"column": "in_stock", "equals": True}])
    with pytest.raises(ConfigError, match="Received: no in_stock among category, .* season"):
        recommending.recommend(spark, settings)
    assert snapshot.current(str(tmp_path), paths.SIMILAR) is None
    catalogs.settings(tmp_path)
    (run,) = (path for path in (tmp_path / "runs").iterdir() if (path / "outcome.json").exists())
    assert json.loads((run / "outcome.json").read_text())["exit_code"] == 2


def test_the_run_that_is_second_publishes_nothing(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogs.publish(tmp_path, catalogs.products(12))
    settings, write = catalogs.settings(tmp_path), recommending._write

    def overtaken(run: recommending.Run, target: Path) -> object:
        monkeypatch.setattr(recommending, "_write", write)
        recommending.recommend(spark, settings)
        return write(run, target)

    monkeypatch.setattr(recommending, "_write", overtaken)
    with pytest.raises(CommitConflictError):
        recommending.recommend(spark, settings)
    commit = snapshot.current(str(tmp_path), paths.SIMILAR)
    assert commit and commit.number == 1
    snapshot.verify(str(tmp_path), commit, paths.SIMILAR)


def test_a_night_that_is_overtaken_or_killed_leaves_the_other_lists_and_reads_its_own_to_the_end(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, settings = catalogs.products(20), catalogs.settings(tmp_path)
    catalogs.publish(tmp_path, rows)
    recommending.recommend(spark, settings)
    catalogs.publish(tmp_path, rows[1:])
    repaired, killed = night.repaired, KeyboardInterrupt()

    def interrupted(*step: Any) -> None:
        repaired(*step)
        raise killed

    monkeypatch.setattr(night, "repaired", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recommending.recommend(spark, settings)
    assert catalogs.ids(catalogs.lists(tmp_path)) == catalogs.expected(rows)

    def overtaken(*step: Any) -> Any:
        # The lists that this night reads are no longer the current ones, and are as old as can be.
        published.publish(tmp_path, {"p0001": ["p0002"]})
        retention.expire(str(tmp_path), retention.Policy(older_than=0, keep=1, grace=0))
        return repaired(*step)

    monkeypatch.setattr(night, "repaired", overtaken)
    with pytest.raises(CommitConflictError):
        recommending.recommend(spark, settings)
    assert catalogs.ids(catalogs.lists(tmp_path)) == {"p0001": ["p0002"]}
    monkeypatch.setattr(night, "repaired", repaired)
    recommending.recommend(spark, settings)
    assert catalogs.ids(catalogs.lists(tmp_path)) == catalogs.expected(rows[1:])


def test_products_bought_together_come_first(spark: Any, tmp_path: Path) -> None:
    rows = catalogs.products(30, categories=("Shirts",))
    catalogs.publish(tmp_path, rows)
    last = catalogs.expected(rows)["p0000"][3]
    pq.write_table(
        pa.table({"product_id": [last, "p0001"], "other_id": ["p0000", "p0002"], "orders": [5, 5]}),
        tmp_path / "pairs.parquet",
    )
    recommending.recommend(spark, catalogs.settings(tmp_path, pairs={"path": str(tmp_path / "pairs.parquet")}))
    expected = catalogs.expected(rows)["p0000"]
    assert catalogs.ids(catalogs.lists(tmp_path))["p0000"] == [last, *expected[:3]]
