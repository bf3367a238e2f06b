"""The import job: its counts, its exit codes, and the public catalogs whole."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fashion_udf.commands import import_catalog
from fashion_udf.errors import CatalogError, InputError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KAGGLE = "image,description,display name,category\n"


def test_counts_and_rejected_records_are_printed(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.csv").write_text(f"{KAGGLE}1.jpg,d,t,c\n2.jpg,d,t\n")
    import_catalog.main(["--layout", "kaggle", "--source", str(tmp_path), "--output", str(tmp_path / "out")])
    assert capsys.readouterr().out == (
        "rejected: line 3: 3 fields instead of 4: 2.jpg,d,t\n"
        f"all 1 rejected records: {tmp_path}/out.rejected\n"
        f"2 rows read, 1 written (0 with photo), 1 rejected: {tmp_path}/out\n"
    )
    assert spark.read.parquet(str(tmp_path / "out.rejected")).count() == 1


def test_a_bad_source_or_an_old_output_ends_with_exit_code_2(spark: SparkSession, tmp_path: Path) -> None:
    arguments = ["--layout", "kaggle", "--source", str(tmp_path / "nowhere"), "--output"]
    with pytest.raises(CatalogError, match="Expected --source to exist. Received: .*nowhere") as caught:
        import_catalog.main([*arguments, str(tmp_path / "out")])
    assert caught.value.exit_code == 2
    with pytest.raises(InputError, match="Expected a new directory. Received: .* which exists") as refused:
        import_catalog.main([*arguments, str(tmp_path)])
    assert refused.value.exit_code == 2


def test_the_help_shows_every_layout_and_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        import_catalog.main(["--help"])
    text = capsys.readouterr().out
    assert "spark-submit jobs/import_catalog.py --layout kaggle" in text
    assert all(name in text for name in ("kaggle", "styles", "folders"))


def test_all_7687_kaggle_products_come_in_with_their_photo(
    spark: SparkSession, shared_data: Path, tmp_path: Path
) -> None:
    from pyspark.sql import functions as F

    source, output = shared_data / "fashion-products", tmp_path / "out"
    import_catalog.main(["--layout", "kaggle", "--source", str(source), "--output", str(output)])
    with (source / "data.csv").open(encoding="utf-8", newline="") as file:
        expected = {
            (
                Path(row["image"]).stem,
                row["display name"],
                row["description"],
                row["category"],
                hashlib.sha256((source / "data" / row["image"]).read_bytes()).hexdigest(),
            )
            for row in csv.DictReader(file)
        }
    frame = spark.read.parquet(str(output))
    columns = ("product_id", "title", "description", "category", F.sha2("image", 256))
    found = [tuple(row) for row in frame.select(*columns).collect()]
    assert len(found) == 7687
    assert set(found) == expected


def test_all_42550_rows_of_styles_csv_are_accounted_for(
    spark: SparkSession, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = shared_data / "fashion-products" / "data"
    arguments = ["--layout", "styles", "--source", str(shared_data / "styles.csv"), "--photos", str(photos)]
    import_catalog.main([*arguments, "--images", "uri", "--output", str(tmp_path / "out")])
    assert "42550 rows read, 42550 written (7687 with photo), 0 rejected" in capsys.readouterr().out
    rows = spark.read.parquet(str(tmp_path / "out")).where("product_id = '10000'").collect()
    columns = ("description", "category", "image_uri", "gender", "base_colour", "season", "usage")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (None, "Skirts", str(photos.resolve() / "10000.jpg"), "Women", "White", "Summer", "Casual")
    ]
