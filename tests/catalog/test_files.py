"""The files of a catalog: each one is read, left out by name, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog import files
from fashion_udf.errors import CatalogError

NO_SPARK: Any = None


def _files(folder: Path, *names: str) -> str:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name.endswith(("_SUCCESS", ".crc")) else b"PAR1")
    return str(folder)


def _read(path: str, form: str = "parquet", *ignore: str) -> list[str]:
    found = files.find(NO_SPARK, "input.path", path, form, ignore)
    return [name[len(found.root) + 1 :] for name in found.read]


def test_files_in_folders_below_are_read_and_what_a_writer_leaves_is_not(tmp_path: Path) -> None:
    left = ("_SUCCESS", ".b.parquet.crc", "_metadata")
    path = _files(tmp_path, "b.parquet", "men/shoes/a.parquet", "brand=x/_y=1/c.parquet", *left)
    assert _read(path) == ["b.parquet", "brand=x/_y=1/c.parquet", "men/shoes/a.parquet"]
    found = files.find(NO_SPARK, "input.path", f"file://{path}", "parquet")
    assert [Path(name).name for name in found.left_out] == [".b.parquet.crc", "_SUCCESS", "_metadata"]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("parquet", "_part.parquet"),
        ("parquet", ".hidden/part.parquet"),
        ("parquet", "_temporary/0/part.snappy.parquet"),
        ("parquet", "_part-without-an-ending"),
        ("csv", ".C.CSV.GZ"),
        ("json", "_old/c.jsonl.bz2"),
    ],
)
def test_a_data_file_with_a_name_that_spark_does_not_read_is_refused_unless_it_is_ignored(
    tmp_path: Path, form: str, name: str
) -> None:
    path = _files(tmp_path, "a", name)
    expected = (
        rf"no data file of input.path with a name that starts .* Received: {tmp_path}/{name}. Rename them, or leave"
    )
    with pytest.raises(CatalogError, match=expected):
        _read(path, form)
    assert _read(path, form, Path(name).name) == ["a"]
    assert _read(path, form, f"{name.split('/')[0]}*") == ["a"]


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("_delta_log/00000000000000000000.json", "a Delta table"),
        (".hoodie/hoodie.properties", "a Hudi table"),
        ("metadata/v1.metadata.json", "an Iceberg table"),
        ("_spark_metadata/0", "the output of a streaming query"),
    ],
)
def test_the_folder_of_a_table_with_a_log_is_refused_and_so_are_folders_in_it(
    tmp_path: Path, log: str, kind: str
) -> None:
    path = _files(tmp_path, "brand=x/a.parquet", log)
    expected = f"Expected input.path to be plain files. Received: {path}, {kind} .*input.format: table"
    with pytest.raises(CatalogError, match=expected):
        _read(path)
    if kind != "an Iceberg table":
        with pytest.raises(CatalogError, match=kind):
            _read(f"{path}/brand=x")


def test_a_name_with_a_colon_is_refused_where_hadoop_opens_it(tmp_path: Path) -> None:
    path = _files(tmp_path, "night_23:00:00.parquet")
    with pytest.raises(CatalogError, match=rf"without ':' .* Received: {path}/night_23:00:00.parquet. Rename"):
        _read(path)
    assert _read(path, "csv") == ["night_23:00:00.parquet"], "Python opens it"


def test_a_pattern_is_one_of_several_paths_and_a_name_that_looks_like_one_is_a_name(tmp_path: Path) -> None:
    path = _files(tmp_path, "a/1.parquet", "b/2.parquet", "[ab]/3.parquet")
    assert _read(f"{path}/?/*.parquet") == ["a/1.parquet", "b/2.parquet"]
    assert _read(f"{path}/[ab]") == ["3.parquet"]
    assert files.for_spark(f"{path}/[ab]/3.parquet") == f"file:{path}/\\[ab\\]/3.parquet"


def test_nothing_to_read_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="readable parquet source. Received: .*nowhere .no such file or folder"):
        _read(str(tmp_path / "nowhere"))
    with pytest.raises(CatalogError, match="1 files are there, and none is read"):
        _read(_files(tmp_path, "_SUCCESS"))


def test_a_link_to_a_folder_above_is_no_endless_catalog(tmp_path: Path) -> None:
    path = _files(tmp_path, "a/1.parquet")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert _read(path) == ["a/1.parquet"]


def test_files_of_another_file_system_are_listed_by_hadoop(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "in" / "men").mkdir(parents=True)
    for name in ("a", "men/b", "_hidden"):
        pq.write_table(pa.table({"x": [1]}), tmp_path / "in" / f"{name}.parquet")
    root, names = files._remote_files(spark, f"file:{tmp_path}/in")
    assert sorted(name[len(root) :] for name in names) == ["/_hidden.parquet", "/a.parquet", "/men/b.parquet"]
    with pytest.raises(FileNotFoundError):
        files._remote_files(spark, f"file:{tmp_path}/nowhere")
