"""The public layouts: each row with its texts, its label and the path of its photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.catalog import public_layouts
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KAGGLE = "image,description,display name,category\n"
STYLES = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"jpeg")


def _rows(spark: SparkSession, layout: str, source: Path, photos: Path | None = None) -> dict[str, Any]:
    rows = public_layouts.read(spark, layout, source, photos).collect()
    assert len({row["product_id"] for row in rows}) == len(rows)
    return {row["product_id"]: row for row in rows}


def test_kaggle_photos_are_found_in_whatever_folder_holds_them(spark: SparkSession, tmp_path: Path) -> None:
    source = tmp_path / "with space ж"
    _touch(source / "pictures" / "10 ж%20.jpg", source / "pictures" / "notes.txt")
    (source / "empty").mkdir()
    rows = f'{KAGGLE}10 ж%20.jpg,"Red, for casual wear, Men.",Red Hat,Hats\n007.jpg,,"two\nlines",\n'
    (source / "data.csv").write_text(rows, encoding="utf-8")
    rows = _rows(spark, "kaggle", source)
    assert set(rows) == {"10 ж%20", "007"}
    row = rows["10 ж%20"]
    assert (row["title"], row["category"], row["description"]) == ("Red Hat", "Hats", "Red, for casual wear, Men.")
    assert row["photo_path"] == str(source / "pictures" / "10 ж%20.jpg")
    row = rows["007"]
    assert (row["title"], row["category"], row["description"], row["photo_path"]) == ("two\nlines", None, None, None)


def test_a_kaggle_photo_is_the_named_file_and_not_its_namesake(spark: SparkSession, tmp_path: Path) -> None:
    _touch(tmp_path / "data" / "1.jpg", tmp_path / "data" / "1.png", tmp_path / "other" / "1.png")
    (tmp_path / "data.csv").write_text(f"{KAGGLE}1.png,d,t,c\n")
    assert _rows(spark, "kaggle", tmp_path)["1"]["photo_path"] == str(tmp_path / "data" / "1.png")


def test_records_that_cannot_be_used_keep_their_line_and_text(spark: SparkSession, tmp_path: Path) -> None:
    rows = '1.jpg,d,t\n,d,t,c\n2.jpg,d,"t,c\n3.jpg,d,t,c\n'
    (tmp_path / "data.csv").write_text(KAGGLE + rows)
    found = public_layouts.read(spark, "kaggle", tmp_path).orderBy("line").collect()
    assert [(row["line"], row["problem"], row["raw"]) for row in found] == [
        (2, "3 fields instead of 4", "1.jpg,d,t"),
        (3, "no product id", ",d,t,c"),
        (4, "unclosed quote", '2.jpg,d,"t,c'),
        (5, None, "3.jpg,d,t,c"),
    ]


def test_styles_titles_with_unquoted_commas_are_told_apart(spark: SparkSession, tmp_path: Path) -> None:
    good = "1,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011.0,Casual,Blue Shirt\n"
    bad = "2,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,Casual,Shirt, Slim\n"
    (tmp_path / "styles.csv").write_text(STYLES + good + bad)
    _touch(tmp_path / "images" / "1.jpg", tmp_path / "images" / "1.png")
    for source in (tmp_path, tmp_path / "styles.csv"):
        found = public_layouts.read(spark, "styles", source).orderBy("line").collect()
        assert [row["problem"] for row in found] == [None, "11 fields instead of 10"]
        assert (found[0]["product_id"], found[0]["category"], found[0]["title"]) == ("1", "Shirts", "Blue Shirt")
        assert found[0]["photo_path"] == str(tmp_path / "images" / "1.jpg")


def test_styles_photos_can_be_elsewhere(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "styles.csv").write_text(f"{STYLES}1,,,,,,,,,\n")
    _touch(tmp_path / "far" / "1.webp")
    row = _rows(spark, "styles", tmp_path / "styles.csv", tmp_path / "far")["1"]
    assert (row["photo_path"], row["title"], row["description"]) == (str(tmp_path / "far" / "1.webp"), None, None)


def test_styles_attributes_are_columns_and_no_description_is_made_of_them(spark: SparkSession, tmp_path: Path) -> None:
    records = (
        "1,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011.0,Smart Casual,Shirt\n2,NA,,,Hats, ,NA,2012, Sports ,Hat\n"
    )
    (tmp_path / "styles.csv").write_text(STYLES + records)
    rows = _rows(spark, "styles", tmp_path)
    assert [rows["1"][name] for name in public_layouts.ATTRIBUTES] == ["Men", "Navy Blue", "Fall", "Smart Casual"]
    assert [rows["2"][name] for name in public_layouts.ATTRIBUTES] == [None, None, None, "Sports"]
    assert [row["description"] for row in rows.values()] == [None, None]


def test_layouts_without_attributes_have_no_columns_for_them(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(f"{KAGGLE}1.jpg,d,t,c\n")
    _touch(tmp_path / "Hats" / "2.jpg")
    for layout in ("kaggle", "folders"):
        assert public_layouts.read(spark, layout, tmp_path).columns == public_layouts.ROWS.names


def test_folders_give_their_name_to_their_photos(spark: SparkSession, tmp_path: Path) -> None:
    _touch(tmp_path / "Casual Shoes" / "a.b.jpg", tmp_path / "Hats" / "2.PNG", tmp_path / "Hats" / "readme.md")
    _touch(tmp_path / "readme.jpg")
    rows = _rows(spark, "folders", tmp_path)
    assert {name: row["category"] for name, row in rows.items()} == {"a.b": "Casual Shoes", "2": "Hats"}
    assert rows["2"]["photo_path"] == str(tmp_path / "Hats" / "2.PNG")
    assert rows["2"]["title"] is None


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("kaggle", "Expected a readable CSV file. Received: .*data.csv"),
        ("styles", "Expected a readable CSV file. Received: .*styles.csv"),
        ("folders", "Expected one folder per category in --source. Received: .* which has none"),
        ("unknown", "Expected a layout of kaggle, styles, folders. Received: 'unknown'"),
    ],
)
def test_a_source_of_another_layout_is_refused(spark: SparkSession, tmp_path: Path, layout: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        public_layouts.read(spark, layout, tmp_path)
    with pytest.raises(CatalogError, match="Expected --source to exist|Expected a layout"):
        public_layouts.read(spark, layout, tmp_path / "nowhere")


def test_missing_columns_and_photo_folders_are_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("image,title\n1.jpg,t\n")
    message = "Expected the columns image, .* Received: image, title; missing: description, display name, category"
    with pytest.raises(CatalogError, match=message):
        public_layouts.read(spark, "kaggle", tmp_path)
    with pytest.raises(CatalogError, match="Expected --photos to be a folder. Received: .*nowhere"):
        public_layouts.read(spark, "kaggle", tmp_path, tmp_path / "nowhere")
    with pytest.raises(CatalogError, match="Expected no photo folder for the layout folders"):
        public_layouts.read(spark, "folders", tmp_path, tmp_path)
