"""Catalogs that are Delta tables: the rows of the newest version, and no row that was removed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from fashion_udf.catalog import columns, delta_tables
from fashion_udf.config import Columns, Input
from fashion_udf.errors import CatalogError, EnvironmentUnsupportedError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


NO_PHOTOS = Columns(image=None)


def _write(path: Path, *ids: str, mode: str = "append", **further: object) -> None:
    table = pa.table({"product_id": ids, "title": [f"Shirt {each}" for each in ids]})
    write_deltalake(path, table, mode=mode, **further)  # type: ignore[call-overload]


def _alter(path: Path, key: str, change: dict[str, object]) -> None:
    """Change an action of the first commit."""
    log = path / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        action.get(key, {}).update(change)
    log.write_text("\n".join(map(json.dumps, actions)))


def test_the_newest_version_is_read_without_rows_that_were_removed(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "catalog"
    _write(path, "a", "b")
    _write(path, "c", "d")
    DeltaTable(path).delete("product_id IN ('a', 'd')")
    assert len([*path.glob("*.parquet")]) > len(DeltaTable(path).file_uris()), "files of old versions are still there"
    catalog = columns.read(spark, Input(path=str(path), format="delta", columns=NO_PHOTOS))
    assert sorted(row["product_id"] for row in catalog.rows.collect()) == ["b", "c"]
    assert f"version 2 of the Delta table {path}" in catalog.notes


def test_names_of_partitions_are_columns_or_refused_where_spark_would_read_other_letters(
    spark: SparkSession, tmp_path: Path
) -> None:
    ids = ("x y", "z/%", "a=b")
    _write(tmp_path / "catalog", *ids, partition_by=["product_id"])
    catalog = columns.read(spark, Input(path=(tmp_path / "catalog").as_uri(), format="delta", columns=NO_PHOTOS))
    assert {row["product_id"]: row["title"] for row in catalog.rows.collect()} == {
        each: f"Shirt {each}" for each in ids
    }
    _write(tmp_path / "catalog", "é", partition_by=["product_id"])
    with pytest.raises(
        CatalogError, match=r"without non-ASCII letters \(%C3%A9\). Received: .*/product_id=%C3%A9/.*input.format"
    ):
        delta_tables.find("input.path", str(tmp_path / "catalog"))


def test_what_files_alone_do_not_tell_is_refused(tmp_path: Path) -> None:
    mapped, removed, folders = tmp_path / "mapped", tmp_path / "removed", tmp_path / "folders"
    for path in (mapped, removed, folders):
        _write(path, "a", "b")
    _alter(mapped, "metaData", {"configuration": {"delta.columnMapping.mode": "name"}})
    with pytest.raises(CatalogError, match=rf"Received: {mapped}, which has a column mapping .*input.format: table"):
        delta_tables.find("input.path", str(mapped))
    features = {"minReaderVersion": 3, "minWriterVersion": 7}
    names = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    _alter(removed, "protocol", {**features, **names})
    delta_tables.find("input.path", str(removed))  # it may have them, and has none
    inline = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"  # of the protocol's own example
    vector = {"storageType": "i", "pathOrInlineDv": inline, "sizeInBytes": 40, "cardinality": 6}
    _alter(removed, "add", {"deletionVector": vector, "stats": '{"numRecords": 30}'})
    with pytest.raises(CatalogError, match=rf"Received: {removed}, which has deletion vectors .*REORG TABLE"):
        delta_tables.find("input.path", str(removed))
    _alter(folders, "metaData", {"partitionColumns": ["title"]})
    _alter(folders, "add", {"partitionValues": {"title": "x"}})
    with pytest.raises(CatalogError, match=r"Expected folders such as title=\.\.\. in input.path"):
        delta_tables.find("input.path", str(folders))


def test_a_folder_that_is_no_delta_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=rf"Expected input.path to be a readable delta source. Received: {tmp_path} "
    ):
        delta_tables.find("input.path", str(tmp_path))
    with pytest.raises(
        CatalogError, match="Expected a local path in input.path, as its format is delta. Received: s3a:"
    ):
        delta_tables.find("input.path", "s3a://shop/catalog")


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(
        EnvironmentUnsupportedError, match=r"format delta: pip install 'fashion-udf\[delta\]'. Received:"
    ):
        delta_tables.find("input.path", "/data/catalog")
