"""Shadow scoring through Spark: the same sample again, the rows of the catalog as they are now, and nothing written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import BundleError, InputError
from fashion_udf.model import bundle
from fashion_udf.pipeline import shadow, tagging
from fashion_udf.scoring.tagger import Tagger
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WORDS = ("Red", "Blue", "Men", "Women", "Shirt", "Jeans", "Watch", "Shoes", "Handbag", "Puma")
TITLES = {f"p{number:02d}": f"{WORDS[number % 10]} {WORDS[number * 7 % 9]}" for number in range(24)}


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says Boots where the small one says Shoes, and is never sure enough for `auto`."""
    made = small_bundle.read()
    rows = pq.read_table(io.BytesIO(made.files["golden.parquet"]))
    at = rows.schema.get_field_index("category")
    boots = pc.if_else(pc.equal(rows["category"], "Shoes"), "Boots", rows["category"])
    golden = io.BytesIO()
    pq.write_table(rows.set_column(at, rows.schema.field(at), boots), golden)
    tree = made.manifest.model_dump(exclude={"files"})
    tree["labels"] = ["Boots" if label == "Shoes" else label for label in made.labels]
    for facts in tree["calibration"]["f32"].values():
        facts["category"]["auto"] = 2.0
    path = tmp_path_factory.mktemp("bundles") / "renamed"
    bundle.write(path, type(made.manifest).model_validate(tree), {**made.files, "golden.parquet": golden.getvalue()})
    return path


def _photo(folder: Path, name: str, level: int) -> str:
    Image.new("RGB", (64, 64), (level, 10, 250 - level)).save(folder / f"{name}.png")
    return str(folder / f"{name}.png")


def _config(folder: Path, titles: dict[str, str], photos: dict[str, str], **changes: Any) -> JobConfig:
    """Write a catalog with photos by path."""
    (folder / "in").mkdir(exist_ok=True)
    columns = {
        "product_id": pa.array([*titles], pa.string()),
        "title": pa.array([*titles.values()], pa.string()),
        "image_uri": pa.array([photos.get(name) for name in titles], pa.string()),
    }
    pq.write_table(pa.table(columns), folder / "in" / "part.parquet")
    tree = {
        "input": {"path": str(folder / "in"), "image_roots": [str(folder)], "max_rejected": 2},
        "output": {"path": str(folder / "out")},
        "bundle": str(small_bundle.directory()),
    }
    return config.validate(JobConfig, {**tree, **changes}, "test")


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_a_sample_is_scored_again_and_compared_with_what_the_model_said(
    spark: SparkSession, tmp_path: Path, renamed: Path
) -> None:
    photos = {name: _photo(tmp_path, name, 10 * number) for number, name in enumerate(TITLES) if number % 2}
    overrides = tmp_path / "overrides.json"
    overrides.write_text('{"product_id": "p02", "category": "Socks"}\n', encoding="utf-8")
    settings = _config(tmp_path, TITLES, photos, overrides={"path": str(overrides), "format": "json"})
    tagging.tag(spark, settings)
    # What the small bundle says, without Spark.
    said = {
        name: Tagger(small_bundle.read()).tag(title=title, image=_bytes(photos.get(name)))
        for name, title in TITLES.items()
    }
    titles = {name: title for name, title in TITLES.items() if name != "p00"} | {"p04": "Another Title"}
    _config(tmp_path, {**titles, "new": "Blue Shoes"}, photos)
    Path(photos["p01"]).unlink()
    _photo(tmp_path, "p03", 200)
    before = _files(tmp_path)
    found = shadow.compare(spark, settings, str(renamed), 100)
    assert _files(tmp_path) == before, "nothing is written"
    assert (found.sampled, found.compared) == (24, 20)
    assert found.not_compared == {"not_in_catalog": 1, "photo_gone": 1, "content_changed": 2}
    compared = {name: row for name, row in said.items() if name not in ("p00", "p01", "p03", "p04")}
    shoes = sorted(name for name, row in compared.items() if row["category"] == "Shoes")
    (flip,) = found.flips
    assert (flip.before, flip.after, flip.rows, flip.examples) == ("Shoes", "Boots", len(shoes), shoes[:3])
    assert (found.lost, found.added) == (["Shoes"], ["Boots"])
    decided = [row["decision"] for row in compared.values()]
    assert {name: sum(row.values()) for name, row in found.decisions.items()} == {
        name: decided.count(name) for name in ("auto", "review", "abstain")
    }
    assert found.decisions["auto"]["review"] == decided.count("auto") > 0
    mean = sum(row["confidence"] for row in compared.values()) / len(compared)
    assert [found.confidence[side] for side in ("before", "after")] == pytest.approx([mean, mean], abs=1e-5)
    assert found.models == {small_bundle.read().model_version: 24}
    assert (found.scoring.model_version, found.scoring.engine) == (bundle.read(str(renamed)).model_version, "openvino")
    assert (found.cost.table_rows, found.cost.scored_rows, found.cost.cores) == (24, 23, 2)


def _bytes(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


def test_the_same_sample_is_drawn_again_whatever_the_order_of_the_rows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _config(tmp_path, TITLES, {})
    tagging.tag(spark, settings)
    drawn: list[list[str]] = []
    whole = shadow._scored

    def scored(run: Any, ids: Any) -> Any:
        drawn.append(list(ids))
        return whole(run, ids)

    monkeypatch.setattr(shadow, "_scored", scored)
    assert shadow.compare(spark, settings, settings.bundle, 7).flips == []
    tagging.tag(spark, _config(tmp_path, dict(reversed([*TITLES.items()])), {}), tagging.Scope(forced=True))
    assert shadow.compare(spark, settings, settings.bundle, 7).compared == 7
    assert drawn[0] == drawn[1] and len({*drawn[0]}) == 7
    assert drawn[0] != sorted(TITLES)[:7], "by a hash, not by the id"


def test_a_product_whose_id_is_rejected_by_now_is_not_compared(spark: SparkSession, tmp_path: Path) -> None:
    settings = _config(tmp_path, dict(list(TITLES.items())[:3]), {})
    tagging.tag(spark, settings)
    twice = pa.table({"product_id": ["p00", "p00", "p01", "p02"], "title": [TITLES["p00"]] * 4, "image_uri": [""] * 4})
    pq.write_table(twice.set_column(2, "image_uri", pa.nulls(4, pa.string())), tmp_path / "in" / "part.parquet")
    found = shadow.compare(spark, settings, settings.bundle, 100)
    assert (found.not_compared["not_in_catalog"], found.cost.scored_rows) == (1, 2)


def test_without_a_published_table_or_a_whole_bundle_there_is_an_error(spark: SparkSession, tmp_path: Path) -> None:
    settings = _config(tmp_path, {"a": "Red Shirt"}, {})
    with pytest.raises(
        InputError, match=r"Expected a published table to compare with\. Received: none in .*out\. Run "
    ):
        shadow.compare(spark, settings, settings.bundle, 5)
    tagging.tag(spark, settings)
    with pytest.raises(BundleError, match="Expected '/nowhere' to be a directory"):
        shadow.compare(spark, settings, "/nowhere", 5)
