"""Any source to the catalog: columns mapped or refused by name, ids kept as written, bad ids told apart."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog import columns
from fashion_udf.config import Columns, Input
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

IDS = ["007", "1e5", "NaN", "null", " x", "9223372036854775808", "йцук", "true", "2026-01-01"]


def _parquet(folder: Path, **values: list[Any]) -> str:
    pq.write_table(pa.table(values), folder / "part.parquet")
    return str(folder / "part.parquet")


def _read(spark: SparkSession, path: str, form: str = "parquet", **mapped: str | None) -> Any:
    return columns.read(spark, Input(path=path, format=form, columns=Columns(**mapped))).rows  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "table"])
def test_ids_are_kept_as_written_by_every_source(spark: SparkSession, tmp_path: Path, form: str) -> None:
    path = str(tmp_path / "catalog")
    if form == "csv":
        lines = ["product_id,title", *(f'{name},"a ""quoted"", title"' for name in IDS)]
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif form == "json":
        rows = [json.dumps({"product_id": name, "title": 'a "quoted", title'}) for name in IDS]
        Path(path).write_text("\n".join(rows), encoding="utf-8")
    else:
        path = _parquet(tmp_path, product_id=IDS, title=['a "quoted", title'] * len(IDS))
    if form == "table":
        spark.read.parquet(path).createOrReplaceTempView("catalog_view")
        path = "catalog_view"
    rows = _read(spark, path, form, image=None).collect()
    assert sorted(row["product_id"] for row in rows) == sorted(IDS)
    assert {row["title"] for row in rows} == {'a "quoted", title'}
    assert {row["description"] for row in rows} == {None}


def test_a_csv_field_may_span_lines(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('product_id,title\n1,"two\nlines"\n2,one\n', encoding="utf-8")
    rows = {
        row["product_id"]: row["title"] for row in _read(spark, str(tmp_path / "c.csv"), "csv", image=None).collect()
    }
    assert rows == {"1": "two\nlines", "2": "one"}


def test_columns_are_mapped_by_the_config(spark: SparkSession, tmp_path: Path) -> None:
    path = _parquet(tmp_path, sku=["1"], **{"display name": ["Hat"], "photo file": [b"jpeg"]}, etag=["v1"])
    frame = _read(spark, path, product_id="sku", title="display name", image="photo file", image_version="etag")
    row = frame.first()
    assert (row["product_id"], row["title"], bytes(row["image"]), row["image_version"]) == ("1", "Hat", b"jpeg", "v1")


def test_a_photo_that_is_no_base64_goes_on_to_get_its_status(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"product_id":"1","title":"hat","image":"!"}\n{"product_id":"2","title":"tie"}\n')
    found = _read(spark, str(tmp_path / "c.json"), "json", image="image").collect()
    assert {row["product_id"]: row["image"] for row in found} == {"1": bytearray(b"!"), "2": None}


def test_whole_number_ids_and_timestamp_versions_become_strings(spark: SparkSession, tmp_path: Path) -> None:
    version = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)
    path = _parquet(tmp_path, product_id=[2**60], title=["Hat"], version=[version])
    row = _read(spark, path, image_version="version", image=None).first()
    assert (row["product_id"], row["image_version"]) == (str(2**60), "2026-01-02 03:04:05.6")


def test_a_source_has_exactly_the_columns_of_the_catalog(spark: SparkSession, tmp_path: Path) -> None:
    path = _parquet(tmp_path, product_id=["1"], title=["Hat"], colour=["red"])
    frame = _read(spark, path, image=None)
    assert [(name, kind) for name, kind in frame.dtypes] == [
        ("product_id", "string"),
        ("title", "string"),
        ("description", "string"),
        ("image", "binary"),
        ("image_version", "string"),
        ("file", "string"),
        ("further_photos", "int"),
    ]
    assert tuple(_read(spark, path, title=None, image=None).first())[:5] == ("1", None, None, None, None)


def test_a_row_names_its_file_and_a_filter_by_it_reads_no_other(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "two files, 100%"
    folder.mkdir()
    for name in ("a", "b"):
        pq.write_table(pa.table({"product_id": [name], "title": ["Hat"]}), folder / f"{name} #1.parquet")
    rows = _read(spark, str(folder), image=None).collect()
    files = {row["product_id"]: row[columns.FILE] for row in rows}
    assert len({*files.values()}) == 2 and None not in files.values()
    found = _read(spark, str(folder), image=None)
    (folder / "b #1.parquet").unlink()
    assert [row["product_id"] for row in found.where(found[columns.FILE] == files["a"]).collect()] == ["a"]


@pytest.mark.parametrize("form", ["csv", "table"])
def test_where_spark_names_no_file_there_is_none_and_nothing_is_logged(
    spark: SparkSession, tmp_path: Path, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = "names_no_file"
    if form == "csv":
        path = str(tmp_path / "c.csv")
        Path(path).write_text("product_id,title\n1,hat\n", encoding="utf-8")
    else:
        spark.createDataFrame([("1", "hat")], "product_id string, title string").createOrReplaceTempView(path)
    assert [row[columns.FILE] for row in _read(spark, path, form, image=None).collect()] == [None]
    assert "ERROR" not in capfd.readouterr().err


def test_a_column_of_the_source_called_file_is_not_ours(spark: SparkSession, tmp_path: Path) -> None:
    path = _parquet(tmp_path, product_id=["1"], title=["Hat"], file=["theirs"], _metadata=["theirs"])
    row = _read(spark, path, description="file", image=None).first()
    assert row["description"] == "theirs" and row[columns.FILE] != "theirs"


@pytest.mark.parametrize(("column", "values"), [("product_id", [1.5]), ("image", [7])])
def test_a_column_of_another_type_is_refused(
    spark: SparkSession, tmp_path: Path, column: str, values: list[Any]
) -> None:
    path = _parquet(tmp_path, **{"product_id": ["1"], "title": ["Hat"], column: values})
    mapped = {} if column == "image" else {"image": None}
    with pytest.raises(CatalogError, match=f"Expected column '{column}' to be (string|binary).*part.parquet"):
        _read(spark, path, **mapped)


@pytest.mark.parametrize("form", ["parquet", "csv", "json", "table"])
def test_a_source_that_is_not_there_is_named(spark: SparkSession, tmp_path: Path, form: str) -> None:
    with pytest.raises(CatalogError, match=f"Expected input.path to be a readable {form} source. Received: .*nowhere"):
        _read(spark, "nowhere" if form == "table" else str(tmp_path / "nowhere"), form)


def test_rows_with_a_null_empty_or_repeated_id_are_rejected(spark: SparkSession, tmp_path: Path) -> None:
    path = _parquet(tmp_path, product_id=["a", None, "b", "b", "", "c"], title=["t"] * 6, image=[b"x"] * 6)
    accepted, rejected = columns.split_ids(_read(spark, path))
    assert sorted(row["product_id"] for row in accepted.collect()) == ["a", "c"]
    assert sorted((row["product_id"] or "", row["rejection"], row["rows"]) for row in rejected.collect()) == [
        ("", "id_null", 1),
        ("", "id_null", 1),
        ("b", "id_repeated", 2),
    ]
    assert columns.require_accepted(rejected, 4) == 4
    expected = r"Received: 4 rows with such ids, first None \(1 rows, id_null\), '' \(1 rows, id_null\), 'b' \(2 rows"
    with pytest.raises(CatalogError, match=expected):
        columns.require_accepted(rejected, 3)


def test_photo_bytes_are_not_shuffled_to_find_repeated_ids(spark: SparkSession, tmp_path: Path) -> None:
    path = _parquet(tmp_path, product_id=["a"], title=["t"], image=[b"x"])
    accepted, _ = columns.split_ids(_read(spark, path))
    plan = accepted._jdf.queryExecution().toString().split("== Physical Plan ==")[1]
    exchanges = [line for line in plan.splitlines() if "Exchange hashpartitioning" in line]
    assert "BroadcastHashJoin" in plan
    assert all("image" not in line for line in exchanges)
