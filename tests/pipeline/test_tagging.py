"""The run through Spark: every row is published with its status, memory stays bounded, and one photo cannot end it."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import (
    BundleError,
    CatalogError,
    CommitConflictError,
    ConfigError,
    GateRefusedError,
    SnapshotError,
)
from fashion_udf.pipeline import chunks, planning, tagging, unreadable_texts
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.samples import catalog
from fashion_udf.schema import TAGS, Status
from fashion_udf.scoring.tagger import Tagger
from fashion_udf.table import paths, snapshot
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _jpeg(level: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (level, 10, 10)).save(file, "JPEG")
    return file.getvalue()


def _catalog(folder: Path, **columns: list[Any]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    if not {"image", "image_uri"} & columns.keys():
        columns["image"] = pa.nulls(len(columns["product_id"]))
    pq.write_table(pa.table(columns), folder / "part.parquet")
    return str(folder)


def _config(path: str, output: Path, **changes: Any) -> JobConfig:
    bundle = str(small_bundle.directory())
    tree: dict[str, Any] = {"input": {"path": path}, "output": {"path": str(output)}, "bundle": bundle}
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            tree.setdefault(section, {})[name] = value
        else:
            tree[section] = value
    return config.validate(JobConfig, tree, "test")


def _published(output: Path) -> Any:
    commit = snapshot.current(str(output))
    assert commit is not None
    return ds.dataset(paths.data_dir(str(output), commit), format="parquet").to_table().to_pandas()


def test_every_row_is_published_with_its_status(spark: SparkSession, tmp_path: Path) -> None:
    photos = {
        "good": (_jpeg(), "Red shirt"),
        "no photo": (None, "Blue jeans"),
        "no text": (_jpeg(), None),
        "blank": (None, " "),
        "empty": (b"", "Hat"),
        "cut": (_jpeg()[:-200], "Hat"),
        "html": (b"<html><body>404</body></html>", "Hat"),
    }
    path = _catalog(
        tmp_path / "in",
        product_id=list(photos),
        title=[title for _, title in photos.values()],
        image=pa.array([photo for photo, _ in photos.values()], pa.binary()),
    )
    outcome = tagging.tag(spark, _config(path, tmp_path / "out"))
    rows = _published(tmp_path / "out").set_index("product_id")
    assert rows["status"].to_dict() == {
        "good": "ok",
        "no photo": "image_none",
        "no text": "text_missing",
        "blank": "image_none",
        "empty": rows["status"]["empty"],
        "cut": "image_truncated",
        "html": "image_unsupported",
    }
    assert rows["status"]["empty"] in (Status.IMAGE_TRUNCATED, Status.IMAGE_CORRUPT)
    assert rows["modality"].to_dict() == {
        "good": "both",
        "no photo": "text",
        "no text": "image",
        "blank": "none",
        "empty": "text",
        "cut": "text",
        "html": "text",
    }
    assert rows["category"].isna().to_dict() == {name: name == "blank" for name in photos}
    scored = rows[rows["category"].notna()]
    assert np.allclose([np.linalg.norm(vector) for vector in scored["embedding"]], 1, atol=1e-3)
    assert scored["confidence"].between(0, 1).all()
    assert outcome.counts.accepted == outcome.counts.scored == len(photos)
    recorded = json.loads((tmp_path / "out" / "runs" / outcome.run_id / "outcome.json").read_text())
    assert recorded["exit_code"] == 0
    assert recorded["counts"]["status.ok"] == 1


def test_the_published_files_have_exactly_the_documented_columns(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(tmp_path / "in", product_id=["1"], title=["Red shirt"])
    outcome = tagging.tag(spark, _config(path, tmp_path / "out"))
    (file,) = outcome.data_dir.iterdir()
    found = pq.read_schema(file)
    assert found.names == TAGS.names
    assert [str(found.field(name).type) for name in ("confidence", "tagged_at")] == ["float", "timestamp[us, tz=UTC]"]
    assert pq.read_metadata(file).row_group(0).column(0).compression == "ZSTD"


def test_ids_survive_to_the_table_as_strings(spark: SparkSession, tmp_path: Path) -> None:
    ids = ["007", "1e5", "NaN", "null", " x", "9223372036854775808", "йцук"]
    path = _catalog(tmp_path / "in", product_id=ids, title=["Red shirt"] * len(ids))
    tagging.tag(spark, _config(path, tmp_path / "out"))
    assert sorted(_published(tmp_path / "out")["product_id"]) == sorted(ids)


def test_photos_by_uri_are_read_on_the_workers(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a b.jpg").write_bytes(_jpeg())
    uris = [str(tmp_path / "photos" / "a b.jpg"), str(tmp_path / "photos" / "gone.jpg"), "ftp://host/x.jpg", None]
    path = _catalog(tmp_path / "in", product_id=list("abcd"), title=["Red shirt"] * 4, image_uri=uris)
    tagging.tag(spark, _config(path, tmp_path / "out", input={"path": path, "image_roots": [str(tmp_path / "photos")]}))
    rows = _published(tmp_path / "out").sort_values("product_id")
    assert list(rows["status"]) == ["ok", "image_missing", "image_forbidden", "image_none"]


def test_an_empty_catalog_publishes_an_empty_table(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(tmp_path / "in", product_id=pa.array([], pa.string()), title=pa.array([], pa.string()))
    tagging.tag(spark, _config(path, tmp_path / "out"))
    assert list(_published(tmp_path / "out").columns) == TAGS.names


def test_texts_in_an_unknown_script_are_counted_before_a_run_and_in_it(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    titles = ["Red Shirt", "قميص أزرق", "قميص أزرق", "Hat 冬季帽子", None, "Μπλε 42"]
    path = _catalog(tmp_path / "in", product_id=list("abcdef"), title=titles)
    preview = tagging.preview(spark, _config(path, tmp_path / "out"))
    assert (preview.sampled_texts, preview.unreadable_texts) == (5, 3)
    assert "cannot read 3 of a sample of 5 texts to score: more than half of their tokens are [UNK]" in caplog.text
    caplog.clear()
    outcome = tagging.tag(spark, _config(path, tmp_path / "out"))
    assert outcome.counts.unreadable_texts == 3
    assert "the model's tokenizer cannot read 3 of 6 products of this run: " in caplog.text
    assert "`python -m training.train` trains a tokenizer on the titles and descriptions of its training" in caplog.text
    reports = tmp_path / "out" / "runs" / outcome.run_id
    assert json.loads((reports / "outcome.json").read_text())["counts"]["unreadable_texts"] == 3
    assert json.loads((reports / "metrics.json").read_text())["unreadable_texts"] == 3
    assert sorted(pq.read_table(reports / "unreadable.parquet")["product_id"].to_pylist()) == ["b", "c", "f"]
    caplog.clear()
    assert tagging.tag(spark, _config(path, tmp_path / "out")).counts.unreadable_texts is None
    preview = tagging.preview(spark, _config(path, tmp_path / "out"))
    assert (preview.sampled_texts, preview.unreadable_texts, caplog.messages) == (0, 0, []), "nothing is to be scored"


def test_a_plan_looks_at_no_more_texts_than_its_sample_holds(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable_texts, "SAMPLE_ROWS", 3)
    path = _catalog(tmp_path / "in", product_id=list("abcdef"), title=["قميص أزرق"] * 6)
    preview = tagging.preview(spark, _config(path, tmp_path / "out"))
    assert (preview.sampled_texts, preview.unreadable_texts) == (3, 3)


def test_rejected_ids_are_kept_beside_the_run(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "b", "b", None], title=["t"] * 4)
    with pytest.raises(CatalogError, match="Expected every product_id once and none empty. Received: 3 rows"):
        tagging.tag(spark, _config(path, tmp_path / "out"))
    assert snapshot.current(str(tmp_path / "out")) is None
    outcome = tagging.tag(spark, _config(path, tmp_path / "out", input={"path": path, "max_rejected": 3}))
    rejected = pq.read_table(tmp_path / "out" / "runs" / outcome.run_id / "rejected.parquet").to_pylist()
    assert sorted(row["rejection"] for row in rejected) == ["id_null", "id_repeated"]
    assert list(_published(tmp_path / "out")["product_id"]) == ["a"]


def test_a_second_run_on_the_same_catalog_scores_nothing_and_publishes_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = _catalog(tmp_path / "in", product_id=["a"], title=["Red shirt"])
    first = tagging.tag(spark, _config(path, tmp_path / "out"))
    second = tagging.tag(spark, _config(path, tmp_path / "out"))
    assert (first.published, second.published) == (True, False)
    assert second.number == 1
    assert (second.counts.scored, second.counts.carried) == (0, 1)
    assert os.listdir(tmp_path / "out" / "staging") == []


def test_a_photo_with_a_new_date_and_the_same_bytes_is_carried(spark: SparkSession, tmp_path: Path) -> None:
    photos = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    for photo in photos:
        photo.write_bytes(_jpeg())
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["Hat"] * 2, image_uri=[str(p) for p in photos])
    settings = _config(path, tmp_path / "out", input__image_roots=[str(tmp_path)])
    tagging.tag(spark, settings)
    before = _published(tmp_path / "out").set_index("product_id")
    photos[0].write_bytes(_jpeg())
    os.utime(photos[0], ns=(1, 1))
    outcome = tagging.tag(spark, settings)
    after = _published(tmp_path / "out").set_index("product_id")
    assert outcome.published and outcome.counts.reasons["image"] == outcome.counts.unchanged["same_photo"] == 1
    changed = {(row, name) for row in "ab" for name in before if str(before[name][row]) != str(after[name][row])}
    assert changed == {("a", "fingerprint")}
    assert not tagging.tag(spark, settings).published


@pytest.mark.parametrize("kind", ["bytes", "uri"])
def test_a_photo_without_a_version_among_others_is_scored_once(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.jpg").write_bytes(_jpeg())
    photos = {"image": pa.array([_jpeg(), _jpeg(50)], pa.binary())}
    if kind == "uri":
        photos = {"image_uri": pa.array([str(tmp_path / "a.jpg")] * 2)}
    path = _catalog(
        tmp_path / "in", product_id=["a", "b"], title=["Hat", "Cap"], version=pa.array(["1", None]), **photos
    )
    settings = _config(
        path, tmp_path / "out", input__image_roots=[str(tmp_path)], input__columns={"image_version": "version"}
    )
    assert tagging.tag(spark, settings).counts.scored == 2
    assert _published(tmp_path / "out")["modality"].tolist() == ["both", "both"]
    assert not tagging.tag(spark, settings).published


def test_only_what_changed_is_scored_and_every_other_row_is_carried_as_it_was(
    spark: SparkSession, tmp_path: Path
) -> None:
    old = {"same": "Red shirt", "text": "Red shirt", "photo": "Red shirt", "gone": "Red shirt"}
    new = {"same": "Red shirt", "text": "Blue hat", "photo": "Red shirt", "fresh": "Green bag"}
    levels = {"same": 10, "text": 20, "photo": 30, "gone": 40, "fresh": 50}
    path = _catalog(
        tmp_path / "in", product_id=list(old), title=list(old.values()), image=[_jpeg(levels[name]) for name in old]
    )
    settings = _config(path, tmp_path / "out", gates={"max_row_drop": 1})
    tagging.tag(spark, settings)
    before = _published(tmp_path / "out").set_index("product_id")
    levels["photo"] = 35
    _catalog(
        tmp_path / "in", product_id=list(new), title=list(new.values()), image=[_jpeg(levels[name]) for name in new],
        price=[1, 2, 3, 4],
    )  # fmt: skip
    outcome = tagging.tag(spark, settings)
    after = _published(tmp_path / "out").set_index("product_id")
    assert (outcome.counts.scored, outcome.counts.carried, outcome.counts.removed) == (3, 1, 1)
    assert sorted(after.index) == sorted(new)
    assert after["reason"].to_dict() == {"same": "new", "text": "text", "photo": "image", "fresh": "new"}
    assert after.loc["same"].drop("embedding").equals(before.loc["same"].drop("embedding"))
    assert (after["run_id"] == outcome.run_id).to_dict() == {"same": False, "text": True, "photo": True, "fresh": True}


def test_products_with_the_same_text_and_photo_are_scored_once(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(
        tmp_path / "in", product_id=["a", "b", "c"], title=["Red shirt"] * 3, image=[_jpeg(), _jpeg(), _jpeg(9)]
    )
    outcome = tagging.tag(spark, _config(path, tmp_path / "out"))
    assert (outcome.counts.scored, outcome.counts.duplicates) == (3, 1)
    rows = _published(tmp_path / "out").set_index("product_id")
    assert rows.loc["a", "confidence"] == rows.loc["b", "confidence"]
    assert np.array_equal(rows.loc["a", "embedding"], rows.loc["b", "embedding"])


def test_a_run_that_died_leaves_its_chunks_to_the_next_one(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:02d}" for number in range(12)]
    path = _catalog(tmp_path / "in", product_id=names, title=[f"Red shirt {name}" for name in names])
    settings = _config(path, tmp_path / "out")
    monkeypatch.setattr(chunks, "MIN_CHUNK_ROWS", 3)
    monkeypatch.setattr(chunks, "IN_FLIGHT", 1)
    whole, done = chunks._score_chunk, []

    def dies(job: Any, chunk: Any, *rest: Any) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        whole(job, chunk, *rest)
        done.append(chunk.rows)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "_score_chunk", dies)
        with pytest.raises(KeyboardInterrupt):
            tagging.tag(spark, settings)
    assert snapshot.current(str(tmp_path / "out")) is None
    # Resuming does not need the catalog to be what it was: one product changes, one goes, one comes.
    names = [*names[1:], "new"]
    titles = [f"Red shirt {name}" for name in names]
    titles[3] = "Blue hat"
    _catalog(tmp_path / "in", product_id=names, title=titles)
    outcome = tagging.tag(spark, settings)
    assert outcome.counts.staged >= 3
    assert outcome.counts.accepted == 12
    assert sorted(_published(tmp_path / "out")["product_id"]) == sorted(names)
    clean = tagging.tag(spark, _config(path, tmp_path / "clean"))
    assert clean.counts.staged == 0
    resumed, fresh = (
        _published(tmp_path / name).set_index("product_id").sort_index()[["category", "confidence", "fingerprint"]]
        for name in ("out", "clean")
    )
    assert resumed.equals(fresh)


def test_a_run_that_another_one_overtakes_plans_again_and_scores_nothing_twice(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["Red shirt", "Blue hat"])
    settings = _config(path, tmp_path / "out")
    other = _config(_catalog(tmp_path / "other", product_id=["a"], title=["Red shirt"]), tmp_path / "out")
    whole, scored = tagging._assemble, []

    def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(tagging, "_assemble", whole)
        tagging.tag(spark, other)
        return whole(*given)

    score = chunks.score
    monkeypatch.setattr(
        chunks, "score", lambda job, counts, *rest: scored.append(counts.to_score) or score(job, counts, *rest)
    )
    monkeypatch.setattr(tagging, "_assemble", overtaken)
    outcome = tagging.tag(spark, settings)
    assert outcome.number == 2
    assert sorted(_published(tmp_path / "out")["product_id"]) == ["a", "b"]
    assert sum(scored) == 2, "the other run used what this one had staged, and this one scored nothing again"


def _staged_by_a_dead_run(spark: SparkSession, settings: Any, output: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a run score everything and die before it publishes; return the directory of what it staged."""
    with monkeypatch.context() as patch:
        patch.setattr(tagging, "_assemble", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tagging.tag(spark, settings)
    (directory,) = (output / "staging").iterdir()
    return directory


@pytest.mark.parametrize("rows_are_missing", [True, False])
def test_a_run_whose_staged_rows_were_published_and_removed_by_another_one_plans_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_are_missing: bool
) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["Red shirt", "Blue hat"])
    settings = _config(path, tmp_path / "out")
    dead = _staged_by_a_dead_run(spark, settings, tmp_path / "out", monkeypatch)
    whole = tagging._assemble

    def overtaken(run: Any, planned: Any, listed: Any, target: Path) -> Any:
        monkeypatch.setattr(tagging, "_assemble", whole)
        assert planned.counts.staged == 2
        # The same products, published by a run that used what the dead one had staged, and then expired.
        tagging.tag(spark, settings)
        shutil.rmtree(dead)
        # Or the files go between listing and reading.
        return whole(run, planned, planning.results(run) if rows_are_missing else listed, target)

    monkeypatch.setattr(tagging, "_assemble", overtaken)
    outcome = tagging.tag(spark, settings)
    assert not outcome.published and outcome.number == 1
    assert sorted(_published(tmp_path / "out")["product_id"]) == ["a", "b"]


def test_a_run_whose_staged_rows_are_removed_after_it_planned_on_their_commit_plans_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run removes its staging after its commit: another one may have planned on that commit, with what is staged."""
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["Red shirt", "Blue hat"])
    settings = _config(path, tmp_path / "out")
    ending = _staged_by_a_dead_run(spark, settings, tmp_path / "out", monkeypatch)
    whole = tagging._assemble

    def removed_meanwhile(run: Any, planned: Any, listed: Any, target: Path) -> Any:
        monkeypatch.setattr(tagging, "_assemble", whole)
        assert planned.counts.staged == 2
        shutil.rmtree(ending)  # and nothing is published
        return whole(run, planned, listed, target)

    monkeypatch.setattr(tagging, "_assemble", removed_meanwhile)
    outcome = tagging.tag(spark, settings)
    assert (outcome.published, outcome.number, outcome.counts.scored) == (True, 1, 2)
    assert sorted(_published(tmp_path / "out")["product_id"]) == ["a", "b"]


def test_a_run_that_is_overtaken_each_time_gives_up_with_its_own_exit_code(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _catalog(tmp_path / "in", product_id=["a"], title=["Red shirt"])

    def lost(*given: Any, **named: Any) -> None:
        raise CommitConflictError("Expected to publish first. Received: another run did")

    monkeypatch.setattr(snapshot, "publish", lost)
    with pytest.raises(CommitConflictError):
        tagging.tag(spark, _config(path, tmp_path / "out"))


def test_rows_of_a_damaged_snapshot_are_not_carried(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["Red shirt", "Hat"])
    outcome = tagging.tag(spark, _config(path, tmp_path / "out"))
    (file,) = outcome.data_dir.iterdir()
    data, group = bytearray(file.read_bytes()), pq.read_metadata(file).row_group(0)
    (chunk,) = (
        group.column(number)
        for number in range(group.num_columns)
        if group.column(number).path_in_schema.startswith("embedding.")
    )
    data[chunk.data_page_offset + chunk.total_compressed_size - 20] ^= 1
    file.write_bytes(data)
    path = _catalog(tmp_path / "next", product_id=["a", "b"], title=["Blue shirt", "Hat"])
    with pytest.raises(CatalogError, match=rf"Expected every file of the published table .* Received: \S*{file.name}"):
        tagging.tag(spark, _config(path, tmp_path / "out"))
    file.write_bytes(data[:-1])
    with pytest.raises(SnapshotError, match="as commit 1 describes it. Received: .* bytes, not "):
        tagging.tag(spark, _config(path, tmp_path / "out"))


def test_a_corrupt_photo_is_not_tried_again_unless_somebody_asks(spark: SparkSession, tmp_path: Path) -> None:
    photos = pa.array([b"\xff\xd8\xff\xe0" + b"x" * 500, _jpeg()], pa.binary())
    path = _catalog(tmp_path / "in", product_id=["corrupt", "sound"], title=["Red shirt"] * 2, image=photos)
    settings = _config(path, tmp_path / "out")
    assert tagging.tag(spark, settings).counts.statuses["ok"] == 1
    assert not tagging.tag(spark, settings).published
    again = tagging.tag(spark, settings, Scope(retry_failed=True))
    assert (again.counts.reasons["retry"], again.counts.carried) == (1, 1)


def test_people_overrule_the_model_until_they_withdraw(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["Red shirt", "Blue hat"])
    tagging.tag(spark, _config(path, tmp_path / "out"))
    given = _catalog(tmp_path / "overrides", product_id=["a"], category=["Kites"])
    settings = _config(path, tmp_path / "out", overrides={"path": given})
    outcome = tagging.tag(spark, settings)
    rows = _published(tmp_path / "out").set_index("product_id")
    assert outcome.counts.carried == 2
    assert rows["category"]["a"] == "Kites" != rows["model_category"]["a"]
    assert rows["category_source"].to_dict() == {"a": "override", "b": "model"}
    assert not tagging.tag(spark, settings).published
    tagging.tag(spark, _config(path, tmp_path / "out", gates={"max_withdrawn": 1}))
    rows = _published(tmp_path / "out").set_index("product_id")
    assert rows["category"]["a"] == rows["model_category"]["a"]


def test_the_fingerprint_follows_text_and_photo_and_nothing_else(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(
        tmp_path / "in",
        product_id=["a", "same", "title", "photo", "moved"],
        title=["Red shirt", "Red shirt", "Blue shirt", "Red shirt", "Red"],
        description=["x", "x", "x", "x", "shirtx"],
        price=[1, 2, 1, 1, 1],
        image=[_jpeg(), _jpeg(), _jpeg(), _jpeg(90), _jpeg()],
    )
    tagging.tag(spark, _config(path, tmp_path / "out"))
    found = _published(tmp_path / "out").set_index("product_id")["fingerprint"]
    assert found["a"] == found["same"]
    assert len({found[name] for name in ("a", "title", "photo", "moved")}) == 4


def test_a_lost_row_stops_the_run_before_it_publishes(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["Red shirt", "Hat"])
    whole = chunks._results
    monkeypatch.setattr(chunks, "_results", lambda *given: whole(*given).limit(1))
    with pytest.raises(GateRefusedError, match="Expected 2 rows, one for each product. Received: 1 rows"):
        tagging.tag(spark, _config(path, tmp_path / "out"))
    assert snapshot.current(str(tmp_path / "out")) is None


def test_a_bad_bundle_engine_or_precision_is_refused_before_any_row_is_read(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = _catalog(tmp_path / "in", product_id=["a"], title=["Red shirt"])
    with pytest.raises(BundleError, match="nowhere"):
        tagging.tag(spark, _config(path, tmp_path / "out", bundle=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match="Expected engine.name to be one of"):
        tagging.tag(spark, _config(path, tmp_path / "out", engine={"name": "onnx"}))


def test_a_plan_counts_and_writes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "b"], title=["t"] * 2, image=[b"123", None])
    preview = tagging.preview(spark, _config(path, tmp_path / "out"))
    counts = preview.counts
    assert (counts.accepted, counts.rejected, counts.reasons["new"], preview.table_rows) == (2, 0, 2, 2)
    assert preview.table_bytes > 0
    assert not (tmp_path / "out").exists()


def test_the_generated_sample_with_its_broken_rows_is_tagged_whole(spark: SparkSession, tmp_path: Path) -> None:
    products = [*catalog.products(40, seed=1), *catalog.broken_products(seed=1)]
    path = _catalog(
        tmp_path / "in",
        product_id=[product.product_id for product in products],
        title=[product.title for product in products],
        description=[product.description for product in products],
        image=pa.array([product.image for product in products], pa.binary()),
    )
    tagging.tag(spark, _config(path, tmp_path / "out"))
    rows = _published(tmp_path / "out")
    assert len(rows) == len(products)
    assert set(rows["status"]) <= {status.value for status in Status}
    assert (rows["status"] == "ok").sum() >= 40


def test_all_troublesome_photos_end_in_a_status_or_a_score(
    spark: SparkSession, tmp_path: Path, shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = sorted((shared_data / "bad-images").iterdir())
    path = _catalog(
        tmp_path / "in",
        product_id=[file.name for file in files],
        title=["Red shirt"] * len(files),
        image=[file.read_bytes() for file in files],
    )
    tagging.tag(spark, _config(path, tmp_path / "out", gates={"max_failures": 1}))
    rows = _published(tmp_path / "out")
    assert sorted(rows["product_id"]) == [file.name for file in files]
    assert set(rows["status"]) <= {status.value for status in Status}
    assert "a Python worker died" not in caplog.text


def test_photos_in_the_reader_are_bounded_from_the_first_look_at_the_catalog(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, bounds, start = "spark.sql.parquet.columnarReaderBatchSize", list[str | None](), planning.start

    def watched(*arguments: Any) -> Any:
        bounds.append(spark.conf.get(key))
        return start(*arguments)

    monkeypatch.setattr(planning, "start", watched)
    config = _config(_catalog(tmp_path / "in", product_id=["a"], title=["Red shirt"]), tmp_path / "out")
    tagging.preview(spark, config)
    tagging.tag(spark, config)
    assert bounds == [str(chunks.BATCH_ROWS)] * 2


@pytest.mark.parametrize("by_uri", [False, True], ids=["bytes", "uri"])
def test_a_photo_that_comes_late_under_the_same_version_is_scored_once(
    spark: SparkSession, tmp_path: Path, by_uri: bool
) -> None:
    (tmp_path / "late.jpg").write_bytes(_jpeg())
    column, photo = ("image_uri", str(tmp_path / "late.jpg")) if by_uri else ("image", _jpeg())
    columns = {"input__columns": {"image_version": "image_version"}, "input__image_roots": [str(tmp_path)]}
    settings = _config(str(tmp_path / "in"), tmp_path / "out", **columns)
    kind = pa.string() if by_uri else pa.binary()
    reasons, modalities = [], []
    for photos in ([None, photo], [photo, photo], [photo, photo], [photo, None]):
        facts = {"product_id": ["late", "there"], "title": ["Red shirt"] * 2, "image_version": ["1", "1"]}
        _catalog(tmp_path / "in", **facts, **{column: pa.array(photos, kind)})
        reasons.append(dict(tagging.tag(spark, settings).counts.reasons))
        modalities.append(_published(tmp_path / "out").set_index("product_id")["modality"].to_dict())
    assert reasons == [{"new": 2}, {"image": 1}, {}, {"image": 1}]
    assert [night["late"] for night in modalities] == ["text", "both", "both", "both"]
    assert [night["there"] for night in modalities] == ["both", "both", "both", "text"]


def test_a_photo_that_comes_between_planning_and_scoring_is_seen_by_the_next_night(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"product_id": ["a"], "title": ["Red shirt"], "image_version": ["1"]}
    settings = _config(str(tmp_path / "in"), tmp_path / "out", input__columns={"image_version": "image_version"})
    _catalog(tmp_path / "in", **facts, image=pa.array([None], pa.binary()))
    score = chunks.score

    def photo_comes(*arguments: Any) -> int:
        _catalog(tmp_path / "in", **facts, image=pa.array([_jpeg()], pa.binary()))
        return score(*arguments)

    monkeypatch.setattr(chunks, "score", photo_comes)
    tagging.tag(spark, settings)
    assert list(_published(tmp_path / "out")["modality"]) == ["text"]
    monkeypatch.setattr(chunks, "score", score)
    outcome = tagging.tag(spark, settings)
    assert dict(outcome.counts.reasons) == {"image": 1}
    assert list(_published(tmp_path / "out")["modality"]) == ["both"]


def test_a_night_publishes_families_novelty_and_attributes(spark: SparkSession, tmp_path: Path) -> None:
    path = _catalog(tmp_path / "in", product_id=["a", "blank"], title=["Red shirt", None])
    tagging.tag(spark, _config(path, tmp_path / "out"))
    rows = _published(tmp_path / "out").set_index("product_id")
    expected = Tagger(small_bundle.read(), threads=1).tag(title="Red shirt")
    found = rows.loc["a"]
    for name in ("category", "parent_category", "parent_decision"):
        assert found[name] == expected[name]
    for name in ("parent_confidence", "novelty"):
        assert found[name] == pytest.approx(expected[name], abs=1e-6)
    assert [(each["name"], each["value"], each["decision"]) for each in found["attributes"]] == [
        (each["name"], each["value"], each["decision"]) for each in expected["attributes"]
    ]
    blank = rows.loc["blank"]
    assert blank["parent_decision"] == "abstain" and blank["attributes"] is None and np.isnan(blank["novelty"])


def test_other_limits_of_photos_score_again_what_has_one(spark: SparkSession, tmp_path: Path) -> None:
    photos = pa.array([_jpeg(), None], pa.binary())
    path = _catalog(tmp_path / "in", product_id=["photo", "text"], title=["Red shirt"] * 2, image=photos)
    tagging.tag(spark, _config(path, tmp_path / "out", limits__max_image_pixels=100))
    assert list(_published(tmp_path / "out").sort_values("product_id")["status"]) == ["image_too_large", "image_none"]
    outcome = tagging.tag(spark, _config(path, tmp_path / "out"))
    assert dict(outcome.counts.reasons) == {"model": 1}
    assert list(_published(tmp_path / "out").sort_values("product_id")["status"]) == ["ok", "image_none"]
