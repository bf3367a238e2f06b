"""The command that writes training sets: every labelled product once, in the split of its group, with no null."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fashion_udf.commands import training_set as command
from fashion_udf.errors import CatalogError, InputError
from training.data import dataset, split, training_set
from training.data.dataset import TRAINING_SET
from training.data.training_set import Options, Written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "product_id string, title string, description string, image binary, category string"


def _catalog(spark: SparkSession) -> DataFrame:
    # Three products share a title and two a photo, so 0 to 3 are one group.
    titles = ["Red shirt", "red  SHIRT", "Red Shirt", "Other", *(f"Title {number}" for number in range(26))]
    photos = [b"a", b"b", b"c", b"a", *(f"photo {number}".encode() for number in range(26))]
    rows = [(f"{n:03d}", titles[n], None, photos[n], "Shirts" if n % 2 else "Shoes") for n in range(30)]
    return spark.createDataFrame([*rows, ("900", None, " ", None, "Shirts")], COLUMNS)


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of all splits by id, each with its split."""
    rows = [{**row, "split": name} for name in split.SPLITS for row in ds.dataset(folder / name).to_table().to_pylist()]
    assert len({row["product_id"] for row in rows}) == len(rows)
    return {row["product_id"]: row for row in rows}


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Written]:
    folder = tmp_path_factory.mktemp("sets") / "set"
    return folder, training_set.write([_catalog(spark)], folder)


def test_the_folders_hold_what_training_reads_and_groups_stay_together(made: tuple[Path, Written]) -> None:
    folder, written = made
    assert (written.rare, written.left_out, written.doubled, written.attributes) == ({}, {}, 0, ())
    rows = _read(folder)
    assert len(rows) == sum(written.rows.values()) == 31
    for name, count in written.rows.items():
        assert dataset.count(folder / name) == count
        assert pq.read_schema(next((folder / name).glob("*.parquet"))).names == TRAINING_SET.names
    assert {row["split"] for row in rows.values()} == set(split.SPLITS)
    assert len({rows[name]["split"] for name in ("000", "001", "002", "003")}) == 1
    assert all(value is not None for row in rows.values() for value in row.values())


def test_absent_texts_and_photos_become_empty_ones(made: tuple[Path, Written]) -> None:
    rows = _read(made[0])
    assert (rows["900"]["text"], rows["900"]["image"], rows["900"]["attributes"]) == ("", b"", "{}")
    assert rows["001"]["text"] == "red  SHIRT"


def test_rare_categories_are_left_out_and_named_and_the_split_stays(spark: SparkSession, tmp_path: Path) -> None:
    hats = spark.createDataFrame([("h1", "A hat", None, b"h1", "Hats"), ("h2", "Hat", None, b"h2", "Hats")], COLUMNS)
    options = Options(min_products=3)
    written = training_set.write([_catalog(spark).unionByName(hats)], tmp_path / "without", options)
    training_set.write([_catalog(spark)], tmp_path / "never", options)
    assert written.rare == {"Hats": 2}
    assert _read(tmp_path / "without") == _read(tmp_path / "never")


def test_nothing_is_written_over(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected a new directory for --output. Received: .*, which exists"):
        training_set.write([_catalog(spark)], tmp_path)


def test_the_command_unites_catalogs_and_says_what_it_left_out(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    _catalog(spark).write.parquet(first)
    rows = [
        ("000", "Another title", "Shoes", "Women", "Red"),  # of the first catalog too
        ("s1", "A lipstick", "Lipstick", "Women", "Red"),
        ("s2", "A ring", "Ring", "Women", None),
        ("s3", "Blue Shoes", "Shoes", "Men", " "),
        ("s4", "A cap", "Caps", "Men", "Blue"),
        *(
            (f"t{number}", f"Title {number} Blue", "Shoes", "Men", "Blue")
            for number in range(26)  # each a variant of the first one's
        ),
    ]
    columns = "product_id string, title string, category string, gender string, base_colour string"
    spark.createDataFrame(rows, columns).write.parquet(second)
    arguments = ["--catalog", first, "--catalog", second, "--other", "Lipstick, Ring", "--min-products", "2"]
    command.main([*arguments, "--output", str(tmp_path / "set")])
    found = _read(tmp_path / "set")
    judged = sum(row["split"] != "train" for row in found.values() if row["product_id"].isdigit())
    lines = capsys.readouterr().out.splitlines()
    counts = {name: sum(row["split"] == name for row in found.values()) for name in split.SPLITS}
    assert lines[:4] == [
        *(f"{name}: {count} rows" for name, count in counts.items()),
        "attributes: gender, base_colour",
    ]
    assert sorted(lines[4:]) == [
        "left out: 1 rows of products that an earlier catalog has",
        f"left out: {judged} rows without a photo, and with a title of validation or test",
        "left out: Caps, 1 rows",
        "other, for judging alone: Ring",
        "other, trained on: Lipstick",
    ]
    assert (found["000"]["text"], found["000"]["attributes"]) == ("Red shirt", '{"gender":"Women","base_colour":"Red"}')
    assert (found["s1"]["category"], found["s1"]["split"]) == ("other", "train")
    assert found["s2"]["category"] == "other" and found["s2"]["split"] in ("validation", "test")
    assert (found["s3"]["attributes"], found["s3"]["image"]) == ('{"gender":"Men"}', b"")


def test_a_catalog_that_is_not_there_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected --catalog to exist. Received: .*nowhere"):
        command.main(["--catalog", str(tmp_path / "nowhere"), "--output", str(tmp_path / "set")])


def test_attributes_that_no_catalog_has_are_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as raised:
        training_set.write([_catalog(spark)], tmp_path / "set", attributes=["gender", "title"])
    assert str(raised.value) == "Expected columns for the attributes gender, title. Received: no catalog with gender"


def test_decisions_of_the_review_label_products(spark: SparkSession) -> None:
    catalog = spark.createDataFrame(
        [("a", "Shirts"), ("b", "Shoes"), ("c", None)], "product_id string, category string"
    )
    decided = {"b": "Hats", "c": "Socks", "gone": "Hats"}
    labelled = command.with_decisions(catalog, decided).orderBy("product_id").collect()
    assert [tuple(row) for row in labelled] == [("a", "Shirts"), ("b", "Hats"), ("c", "Socks")]
    unlabelled = command.with_decisions(catalog.drop("category"), decided).orderBy("product_id").collect()
    assert [tuple(row) for row in unlabelled] == [("b", "Hats"), ("c", "Socks")]
