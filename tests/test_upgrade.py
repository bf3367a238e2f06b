"""What release 0.1 wrote opens in this one: its table, its pins and the results it left in staging.

Every product is scored again by the first night: the model, and what a fingerprint holds, are others. Until then its
rows have null in the columns that are new.

Nothing here knows how the library is divided into files: only jobs, `tag` and what is on the disk.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.commands import show, snapshots
from fashion_udf.config import JobConfig
from fashion_udf.errors import BundleError, SnapshotError
from fashion_udf.model import bundle
from fashion_udf.pipeline import tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.schema import TAGS
from fashion_udf.table import paths, snapshot
from fashion_udf.table.tags_table import TagsTable
from tests import small_bundle
from tests.submit import REPOSITORY
from tests.tables import publish_staged

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RELEASED = REPOSITORY / "tests" / "release_0_1"
#: Products by which of them the runs were about.
TODAY = {f"p{number:02d}" for number in range(1, 15)} - {"p09"}
STAGED = {"p11", "p15", "p16", "p17", "p18"}
#: Columns that release 0.1 did not have.
SINCE = ("parent_category", "parent_confidence", "parent_decision", "novelty", "attributes", "image_validator")
REFUSED, KILLED = sorted(path.name for path in (RELEASED / "output" / "staging").iterdir())


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A copy of the output of release 0.1."""
    return Path(shutil.copytree(RELEASED / "output", tmp_path / "out", symlinks=True))


def _config(catalog: str | Path, output: Path) -> JobConfig:
    tree = {
        "input": {"path": str(RELEASED / "catalogs" / catalog)},
        "output": {"path": str(output)},
        "overrides": {"path": str(RELEASED / "catalogs" / "overrides")},
        "stability_margin": 1.0,
        "bundle": str(small_bundle.directory()),
        "gates": {"max_shift": 1.0, "max_flips": 1.0, "max_row_drop": 1.0},
    }
    return config.validate(JobConfig, tree, "a night")


def _rows(output: Path, number: int | None = None) -> dict[str, dict[str, Any]]:
    """Rows of a commit by product, after its files were verified; the newest commit by default."""
    log = {commit.number: commit for commit in snapshot.read_log(str(output))}
    commit = log[number or max(log)]
    snapshot.verify(str(output), commit)
    rows = ds.dataset(paths.data_dir(str(output), commit), format="parquet").to_table().to_pylist()
    found = {row["product_id"]: row for row in rows}
    assert len(found) == len(rows) == commit.rows
    return found


def _run(capsys: pytest.CaptureFixture[str], command: str, output: Path, *arguments: object) -> str:
    snapshots.main([command, "--output", str(output), *(str(argument) for argument in arguments)])
    return capsys.readouterr().out


def test_the_commits_pins_and_tombstones_of_the_old_release_are_listed(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(_run(capsys, "list", output, "--json"))
    names = ("number", "kind", "rows", "current", "expired", "pins")
    assert [[item[name] for name in names] for item in listed] == [
        [1, "publish", 2, False, True, []],
        [2, "publish", 12, False, False, ["before f32"]],
        [3, "publish", 12, False, False, []],
        [4, "publish", 13, True, False, []],
    ]
    shown = json.loads(_run(capsys, "show", output, "--json"))
    (file,) = (output / "tags" / "data" / shown["snapshot"]).iterdir()
    assert [(told["name"], told["rows"], told["size"]) for told in shown["files"]] == [
        (file.name, 13, file.stat().st_size)
    ]
    assert _run(capsys, "path", output) == f"{file.parent.resolve()}\n"


def test_the_files_of_the_old_release_verify_and_a_changed_one_does_not(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _run(capsys, "verify", output, "--all").splitlines()
    assert told[0] == "commit 1: its snapshot has expired"
    assert [line.split(",")[0] for line in told[1:]] == [f"commit {number}: 1 files" for number in (2, 3, 4)]
    (file,) = Path(_run(capsys, "path", output, "--number", 3).strip()).iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(SnapshotError, match=f"{file.name}: sha256 "):
        _run(capsys, "verify", output, "--all")


def test_a_diff_tells_what_the_old_release_changed(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = json.loads(_run(capsys, "diff", output, 2, 3, "--json"))
    assert changes["examples"]["added"] == [["p13"]] and changes["examples"]["gone"] == [["p09"]]
    assert sorted(changes["examples"]["category"]) == [
        ["p03", "Socks", "Tshirts"],
        ["p08", "Heels", "Formal Shoes"],
        ["p10", "Perfume and Body Mist", "Handbags"],
    ]
    assert dict(changes["scored"]) == {"model": 9, "image": 1, "text": 1}


def test_an_old_snapshot_becomes_the_current_one_again_and_an_expired_one_does_not(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _rows(output, 2)
    assert _run(capsys, "rollback", output, "--to", 2).startswith("commit 5 names snapshot ")
    assert _rows(output) == before
    assert (output / "tags" / "current").resolve().name == snapshot.read_log(str(output))[1].snapshot_id
    with pytest.raises(SnapshotError, match="Expected a snapshot that is kept. Received: commit 1"):
        _run(capsys, "rollback", output, "--to", 1)


def test_the_links_of_an_old_table_are_made_anew_where_they_are_missing(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (output / "tags" / "current").unlink()
    assert _run(capsys, "repair", output) == "tags/current and tags/current.sql name commit 4\n"
    assert (output / "tags" / "current").resolve() == Path(_run(capsys, "path", output).strip())
    assert str(output) in (output / "tags" / "current.sql").read_text(encoding="utf-8")


def test_pins_and_tombstones_are_written_as_the_old_release_wrote_them(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {kind: output / "tags" / kind for kind in ("pins", "expired")}
    old = {kind: {_timeless(path) for path in folder.iterdir()} for kind, folder in folders.items()}
    assert {name for name, _ in old["pins"]} == {f"{snapshot.read_log(str(output))[1].snapshot_id}.json"}
    _run(capsys, "unpin", output, "--number", 2)
    assert [*folders["pins"].iterdir()] == []
    _run(capsys, "pin", output, "--number", 2, "--note", "before f32")
    assert {_timeless(path) for path in folders["pins"].iterdir()} == old["pins"]
    _run(capsys, "unpin", output, "--number", 2)
    _run(capsys, "expire", output, "--older-than", "0s", "--grace", "0s", "--keep", 2)
    commits = snapshot.read_log(str(output))
    ((name, content),) = old["expired"]
    renamed = name.replace(commits[0].snapshot_id, commits[1].snapshot_id), content.replace(b'r": 1,', b'r": 2,')
    assert {_timeless(path) for path in folders["expired"].iterdir()} == {(name, content), renamed}
    assert not paths.data_dir(str(output), commits[1]).exists()


def _timeless(path: Path) -> tuple[str, bytes]:
    """Name and content of a pin or a tombstone, with every time of writing replaced."""
    snapshot_id, *holder, kind = path.name.split(".")
    assert all(re.fullmatch(r"\d{8}T\d{12}Z-[0-9a-f]{8}", part) for part in (snapshot_id, *holder))
    content, times = re.subn(rb'"time": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', b'"time": ""', path.read_bytes())
    assert times == 1
    return ".".join([snapshot_id, *("holder" for _ in holder), kind]), content


def test_a_table_that_the_old_release_refused_is_published_when_a_person_accepts_it(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _rows(output)
    told = _run(capsys, "publish", output, "--run", REFUSED, "--accept", "row_drop")
    assert told.startswith("published snapshot 5: ")
    after = _rows(output)
    assert after.keys() == TODAY - {"p10", "p12"}
    assert {name for name, row in after.items() if row != before[name]} == {"p01"}
    assert (after["p01"]["run_id"], after["p01"]["reason"]) == (REFUSED, "text")


def test_a_bundle_of_the_old_release_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        '{"format": 1, "labels": ["Tshirts", "Shirts"], "temperature": {"both": 1.0}}'
    )
    with pytest.raises(BundleError, match="Received: format 1. Train the model and export it again with this release"):
        bundle.read(str(tmp_path))


def test_the_first_night_scores_every_product_again(spark: SparkSession, output: Path) -> None:
    outcome = tagging.tag(spark, _config("today", output))
    assert (outcome.published, outcome.number) == (True, 5)
    counts = outcome.counts
    assert (counts.accepted, counts.scored, counts.staged, counts.carried) == (len(TODAY), len(TODAY), 0, 0)
    after = _rows(output)
    assert {row["model_version"] for row in after.values()} == {small_bundle.read().model_version}
    assert all(row["parent_decision"] is not None for row in after.values())
    assert not tagging.tag(spark, _config("today", output)).published, "and the next one finds nothing to do"


def test_a_plan_goes_by_the_speed_that_the_old_release_measured(
    spark: SparkSession, output: Path, tmp_path: Path
) -> None:
    new = {"product_id": [f"n{number}" for number in range(900)], "title": [f"Hat {n}" for n in range(900)]}
    new["image"] = pa.nulls(900)
    (tmp_path / "many").mkdir()
    pq.write_table(pa.table(new), tmp_path / "many" / "part.parquet")
    preview = tagging.preview(spark, _config(tmp_path / "many", output))
    assert (preview.counts.scored, preview.counts.removed, preview.table_rows) == (900, len(TODAY), 900)
    assert preview.core_seconds == pytest.approx(900 / 33.18210326085026)


def test_what_a_killed_run_of_the_old_release_scored_is_scored_again(spark: SparkSession, output: Path) -> None:
    outcome = tagging.tag(spark, _config("next", output))
    counts = outcome.counts
    assert (counts.staged, counts.carried, counts.reasons["new"]) == (0, 0, 4)
    after = _rows(output)
    assert after.keys() == TODAY | STAGED
    assert {row["run_id"] for row in after.values()} == {outcome.run_id}


def test_rows_of_the_old_release_that_are_carried_have_null_in_the_new_columns(
    spark: SparkSession, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, only_one = _rows(output), spark.createDataFrame([("p02",)], "product_id string")
    assert not {*SINCE} & {*before["p01"]}
    outcome = tagging.tag(spark, _config("today", output), Scope(selected=only_one, forced=True))
    assert (outcome.number, outcome.counts.scored) == (5, 1)
    after = _rows(output)
    overridden = {name for name, row in before.items() if row["category_source"] == "override"}
    for name in TODAY - {"p02"} - overridden:
        assert after[name] == before[name] | dict.fromkeys(SINCE)
    for name in overridden - {"p02"}:  # a person's category has a family without the model
        assert (after[name]["parent_category"], after[name]["parent_decision"]) == (
            small_bundle.read().taxonomy.parent(after[name]["category"]),
            "auto",
        )
        assert after[name]["novelty"] is after[name]["attributes"] is None
    assert after["p02"]["novelty"] is not None and len(after["p02"]["attributes"]) == 2
    changes = json.loads(_run(capsys, "diff", output, 4, 5, "--json"))
    assert (changes["added"], changes["gone"], dict(changes["scored"])) == (0, 0, {"model": 1})


def test_the_table_of_the_old_release_opens_for_every_reader(
    spark: SparkSession, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, before = TagsTable(output), _rows(output)
    frame = table.to_pandas()
    assert frame.columns.tolist() == TAGS.names and frame[[*SINCE]].isna().all(axis=None)
    rows = {row["product_id"]: row.asDict() for row in table.to_spark(spark).collect()}
    assert {name: row["category"] for name, row in rows.items()} == {n: row["category"] for n, row in before.items()}
    assert {row[name] for row in rows.values() for name in SINCE} == {None}
    _run(capsys, "repair", output)
    show.main(["--output", str(output)])
    assert "Products by decision and modality" in capsys.readouterr().out


def test_columns_that_an_older_table_lacks_are_null_and_a_night_goes_on_top(
    spark: SparkSession, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, parent = _rows(output), snapshot.current(str(output))
    assert parent is not None
    lacking = ("previous_category", "error", "image_sha256")
    assert all(any(row[name] is not None for row in before.values()) for name in lacking)
    staged = output / "staging" / "older"
    staged.mkdir()
    (file,) = paths.data_dir(str(output), parent).iterdir()
    # Spark's own note of the columns goes too: from that it would read the missing ones as null by itself.
    older = pq.read_table(file).drop_columns(lacking).replace_schema_metadata(None)
    pq.write_table(older, staged / "part-0.parquet")
    run_id, version = paths.new_run_id(), parent.model_version
    publish_staged(output, staged, run_id, version, expected_rows=len(TODAY), parent=parent)
    changes = json.loads(_run(capsys, "diff", output, 4, 5, "--json"))
    assert (changes["added"], changes["gone"], changes["categories"], changes["statuses"]) == (0, 0, [], [])

    only_new = spark.createDataFrame([("p16",)], "product_id string")
    outcome = tagging.tag(spark, _config("next", output), Scope(selected=only_new))
    assert (outcome.number, outcome.counts.scored) == (6, 1)
    after = _rows(output)
    untouched = {name for name in TODAY if before[name]["category_source"] != "override"}
    for name in untouched:
        assert after[name] == before[name] | dict.fromkeys((*lacking, *SINCE))
    assert after["p16"]["image_sha256"] is not None
