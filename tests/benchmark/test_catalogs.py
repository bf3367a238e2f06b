"""The catalogs that are measured with."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.errors import InputError
from tests.benchmark import catalogs
from tests.benchmark.catalogs import COPY, HEIGHT, WIDTH, Catalogs

ROWS = 6


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Catalogs:
    return catalogs.prepare(tmp_path_factory.mktemp("work"), ROWS, None)


def test_every_product_is_there_once_with_a_large_photo(generated: Catalogs) -> None:
    table = pq.read_table(generated.folder / "bytes")
    assert sorted(table["product_id"].to_pylist()) == sorted(item.product_id for item in generated.items)
    assert len(set(table["image"].to_pylist())) == ROWS
    for photo in table["image"].to_pylist():
        with Image.open(io.BytesIO(photo)) as image:
            assert (image.format, image.size) == ("JPEG", (WIDTH, HEIGHT))


def test_photos_by_uri_are_the_same_products_the_other_way_round(generated: Catalogs) -> None:
    table = pq.read_table(generated.folder / "uri")
    assert table["product_id"].to_pylist() == [item.product_id for item in generated.items][::-1]
    by_id = {row["product_id"]: row["image"] for row in pq.read_table(generated.folder / "bytes").to_pylist()}
    for product_id, uri in zip(table["product_id"].to_pylist(), table["image_uri"].to_pylist(), strict=True):
        assert Path(uri).read_bytes() == by_id[product_id]


def test_half_of_the_duplicates_repeat_photo_and_text_under_another_id(generated: Catalogs) -> None:
    rows = {row["product_id"]: row for row in pq.read_table(generated.folder / "duplicates").to_pylist()}
    copies = [key for key in rows if key.endswith(COPY)]
    assert (len(rows), len(copies)) == (ROWS, ROWS // 2)
    for key in copies:
        assert {**rows[key], "product_id": ""} == {**rows[key.removesuffix(COPY)], "product_id": ""}


def test_catalogs_that_are_there_are_used_again(generated: Catalogs) -> None:
    written = {path: path.stat().st_mtime_ns for path in generated.folder.parent.rglob("*.*")}
    again = catalogs.prepare(generated.folder.parents[1], ROWS, None)
    assert again == generated
    assert {path: path.stat().st_mtime_ns for path in generated.folder.parent.rglob("*.*")} == written


def test_writing_that_was_cut_short_is_done_again(generated: Catalogs, tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    shutil.copytree(generated.photos, tmp_path / "generated" / "photos")
    unfinished = tmp_path / "generated" / f"{ROWS}.unfinished"
    unfinished.mkdir()
    (unfinished / "half").write_bytes(b"")
    folder = catalogs.prepare(tmp_path, ROWS, None).folder
    assert sorted(path.name for path in folder.iterdir()) == ["bytes", "duplicates", "first", "uri"]
    assert not unfinished.exists()


def test_real_products_are_taken_once_and_a_lack_of_them_is_named(generated: Catalogs, tmp_path: Path) -> None:
    lines = ["image,description,display name,category"]
    (tmp_path / "data").mkdir()
    for name, item in (("1.jpg", 0), ("2.jpg", 0), ("3.jpg", 1)):
        (tmp_path / "data" / name).write_bytes(generated.items[item].photo)
        lines.append(f"{name},same text,same title,Shirts")
    lines.append("4.jpg,no photo,no photo,Shirts")
    (tmp_path / "data.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match="Expected at least 3 different products. Received: 2; lower --rows"):
        catalogs.prepare(tmp_path / "work", 3, tmp_path)
